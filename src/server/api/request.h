#pragma once

#include <pthread.h>
#include <stdint.h>

#include "server/api/api.h"
#include "server/api/negotiate.h"

/* One request on its way through this room, in the arena of its exchange. */

enum verb {
    VERB_NONE, /* not a resource */
    VERB_GET,
    VERB_LIST,
    VERB_WATCH,
    VERB_CREATE,
    VERB_UPDATE,
    VERB_PATCH,
    VERB_DELETE,
    VERB_DELETECOLLECTION,
    VERBS
};
const char *verb_name(enum verb verb); /* "get"; "" for none */

struct discovery;
struct openapi;
struct metrics;
struct watch_hub;

struct api {
    struct api_options options;
    struct api_resource *resources; /* a copy of the options' */
    size_t resources_len;
    const struct kind **kinds; /* of these, for the documents */
    struct discovery *discovery;
    struct openapi *openapi;
    struct metrics *metrics;
    struct watch_hub *watches;
    pthread_mutex_t writes_lock;
    pthread_cond_t writes_done;
    size_t writes; /* handed on to workers or the store, and not answered yet */
};

struct request {
    struct api *api;
    struct http_exchange *x;
    struct arena *arena;
    struct identity who;
    enum verb verb;
    const struct api_resource *resource;       /* NULL: not a resource */
    const char *name;                          /* NULL: the collection */
    const char *subresource;                   /* NULL: the main resource */
    const struct kind_subresource *own;        /* where the subresource is one of the kind's own */
    const struct subresource_handler *handler; /* likewise */
    enum verdict verdict;
    enum representation representation;
    int64_t started_us;
    size_t warnings; /* bytes of Warning headers so far */
};

static inline const struct kind *request_kind(const struct request *r)
{
    return r->resource ? r->resource->kind : NULL;
}
static inline const char *request_collection(const struct request *r)
{
    return r->resource->kind->plural;
}

/* Answers, and counts in the metrics. The request is gone afterwards. */
void request_reply(struct request *r, unsigned code, const char *content_type, struct str body);
/* `json` came from malloc and is freed when sent. */
void request_reply_json(struct request *r, unsigned code, char *json, size_t n);
/* Takes the reference. */
void request_reply_object(struct request *r, unsigned code, struct object *o);
void request_fail(struct request *r, struct error *err);
/* For what answers by itself (streams, subresources of hooks): counts alone. */
void request_count(struct request *r, unsigned code);

/* How large the object may become that the caller writes, but for its status. */
size_t request_object_max(const struct request *r);
/* Administrators and the runner, for whom a share of everything is kept. */
bool request_is_reserved(const struct request *r);
/* What Kubernetes' conversion of query parameters makes of a boolean: absent, "false" and "0" are false. */
bool request_flag(struct request *r, const char *name);
/* dryRun: absent or "All"; anything else is a 400. */
int request_dry_run(struct request *r, bool *out, struct error **err) _must_check_;
/* The one field in question, by path ("spec.owner"), of serialised JSON. Whether it names `who`. */
bool owned_by(const struct kind *kind, struct str json, const struct identity *who);
bool owned_by_val(const struct kind *kind, yyjson_val *object, const struct identity *who);

/* «devices.group "x" not found» and its like, as Kubernetes words them. */
int error_not_found(struct error **err, const struct kind *kind, const char *name);
int error_forbidden(struct error **err, const struct request *r);
/* There is no object of the request's name. Who sees own ones alone is told the same as of somebody else's, for names
 * are no business of strangers; but for the own name, of which kubectl waits after a delete to read NotFound. */
int error_absent(struct error **err, const struct request *r);

/* As in base/error.h: seen to fail. */
#define error_not_found(...) error_failed(error_not_found(__VA_ARGS__))
#define error_forbidden(...) error_failed(error_forbidden(__VA_ARGS__))
#define error_absent(...) error_failed(error_absent(__VA_ARGS__))
