#pragma once

#include "http/http.h"
#include "kinds/kind.h"
#include "server/api/authorize.h"
#include "server/api/flow.h"
#include "server/api/hooks.h"
#include "server/store/store.h"

/*
 * The Kubernetes API conventions over a store, for any kinds: discovery, OpenAPI, schemas, tables, selectors, verbs,
 * watches. It knows none of ours: what a definition (kind.h) cannot say comes in as hooks.
 */
struct api_resource {
    const struct kind *kind;
    const struct kind_hooks *hooks; /* NULL: none */
};

struct api_options {
    struct store *store;
    const struct api_resource *resources;
    size_t resources_len;
    authorize_fn *authorize;
    /* Whether who was let in would be so still: asked before a watch tells more. NULL: always. From any thread, quick.
     */
    bool (*still_holds)(void *context, const struct identity *who);
    /* Administrators and the runner: their share is not counted. NULL: nobody. */
    bool (*reserved)(const struct identity *who);
    struct flow *flow;         /* what a caller may have at a time; NULL: anything */
    struct workers *workers;   /* for hooks->prepare */
    struct workers *parsers;   /* for large bodies and lists (api/heavy.h). NULL: all on the event thread */
    void *context;             /* handed to hooks */
    unsigned watch_seconds;    /* default timeoutSeconds of a watch, jittered; 0: 1800 */
    unsigned bookmark_seconds; /* between two bookmarks; 0: 60 */
    const char *version;       /* of the product, for /version */
};

struct api;
struct api *api_new(const struct api_options *options, struct error **err) _must_check_;
/* After the HTTP servers have stopped, before the store closes: waits for the writes that are still in its queue. */
void api_free(struct api *a);

/* Whether this path is ours: /apis…, /api, /openapi…, /version, /healthz, /livez, /readyz, /metrics. */
bool api_owns(struct str path);
/* As whom the flow counts a caller. */
struct flow_caller api_caller(const struct api *a, const struct http_exchange *x, const struct identity *who);
/* Answers (or defers) a request of an identified caller; from an event thread or a worker. `who` is copied. */
void api_handle(struct api *a, struct http_exchange *x, const struct identity *who);

/* metav1.Status for an error, on whatever path it occurred. Takes `err`. */
void api_reply_error(struct http_exchange *x, struct error *err);
/* The same with details.kind, details.group and details.name. */
void api_reply_object_error(struct http_exchange *x, const struct kind *kind, const char *name, struct error *err);
/* The text of that Status; the caller frees. */
char *api_status_json(const struct error *err, const struct kind *kind, const char *name, size_t *n);

/* For the server itself (shipped objects at first start, the set-up of the first administrator): the create verb with
 * defaulting, validation, hooks and all, as `who`, inside a transaction that the caller is in. */
int api_create_in_txn(struct api *a, struct store_txn *t, const struct kind *kind, yyjson_val *object,
                      const struct identity *who, struct error **err) _must_check_;
