#pragma once

#include <stdint.h>

#include "base/json.h"
#include "client/transport.h"

/* A client of an API with Kubernetes' conventions: our own server's today, kube-apiserver's with other options. */
struct client_options {
    struct transport_options transport;
    const char *prefix; /* "/apis/open-hydra-server.openhydra.io/v1" */
    int stop_fd;
    unsigned call_ms; /* 0: CLIENT_CALL_MS */
};

#define CLIENT_CALL_MS 20000 /* of one call that is no stream: a hung server holds a worker no longer */

struct client;
struct client *client_new(const struct client_options *options);
void client_free(struct client *c);
int client_stop_fd(const struct client *c);
unsigned client_call_ms(const struct client *c);

/* One request to PREFIX/path. A metav1.Status becomes an error with its reason. `answer` may be NULL. */
struct client_request {
    const char *method, *path;
    const char *content_type; /* NULL: application/json */
    yyjson_mut_doc *body;     /* NULL: none */
};
int client_call(struct client *c, const struct client_request *r, yyjson_doc **answer, struct error **err) _must_check_;

/* metadata.resourceVersion as the number that our server's is; 0: none. */
uint64_t object_version(yyjson_val *object);

/* An object as somebody has it: which one, and at which version. */
struct object_ref {
    const char *plural, *name, *uid;
};

/* Changes the object's /status. `fill` adds to `status` (a merge patch: null removes), given the object as it is now;
 * it is called again after a conflict. `known` is the object as last seen or NULL. NotFound where the object, or that
 * uid, is gone. `answer` (may be NULL) gets the object as it is then. */
typedef void client_fill(yyjson_val *object, yyjson_mut_doc *doc, yyjson_mut_val *status, void *arg);
int client_patch_status(struct client *c, const struct object_ref *ref, yyjson_val *known, client_fill *fill, void *arg,
                        yyjson_doc **answer, struct error **err) _must_check_;
/* Whether what `fill` would say is not what the object's status says already. */
bool client_status_differs(yyjson_val *object, client_fill *fill, void *arg);
/* Takes a finalizer off, whatever else changes meanwhile. 0 too where it, the object or that uid is gone. */
int client_remove_finalizer(struct client *c, const struct object_ref *ref, const char *finalizer, struct error **err)
    _must_check_;

/* Whether the object, or that uid, is gone, by asking for it alone: a list leaves out what cannot be read. False with
 * the reason where it is there, or where nobody can say. */
bool client_is_gone(struct client *c, const struct object_ref *ref, struct error **err) _must_check_;

/* A long-lived GET: each line that comes is handed over. Returns 0 at its orderly end. `seconds`: the longest it may
 * last. */
int client_stream(struct client *c, const char *path, unsigned seconds, int (*line)(void *arg, struct str line),
                  void *arg, struct error **err) _must_check_;
