#pragma once

#include "base/arena.h"
#include "base/json.h"
#include "server/api/answer.h"
#include "server/api/flow.h"
#include "server/store/store.h"

enum write_operation { OPERATION_CREATE, OPERATION_UPDATE, OPERATION_UPDATE_STATUS, OPERATION_DELETE };

struct warning {
    struct warning *next;
    const char *text;
};

/* One write on its way through. Objects are whole (apiVersion … status). */
struct admission {
    enum write_operation operation;
    const struct kind *kind;
    const struct identity *who;
    bool dry_run;
    yyjson_val *old;        /* the present object; NULL on create, and in `prepare` */
    yyjson_mut_doc *doc;    /* of `object` */
    yyjson_mut_val *object; /* the object to be; a hook may change it. On DELETE: the present one */
    struct arena *arena;    /* of the request; in a transaction, of this try of it */
    void *context;          /* api_options.context */
    /* What was taken out of the write-only fields: one value per path of kind->write_only; NULL where absent, null or
     * empty. */
    const char *const *secrets;
    const void *prepared;     /* hook's own, from prepare to admit; in the arena */
    struct warning *warnings; /* for the answer */
};

/* Adds a «Warning: 299» to the answer. */
void admission_warn(struct admission *a, const char *fmt, ...) _printf_(2, 3);

struct kind_hooks {
    /* Slow work before the transaction, on a worker thread: only called where a write-only field is present. `name` is
     * the object's. May read the store. */
    int (*prepare)(struct admission *a, const char *name, struct error **err);
    /* In the writer's transaction, which may be thrown away and run again: nothing is touched but what is handed in
     * and what belongs to the transaction. After schema validation and metadata, for all four operations: checks
     * what a schema cannot say, fills in what the server decides (ports, finalizers), writes other objects and
     * secrets. On DELETE it is called when deletion is asked for (may refuse; may set finalizers' dues) … */
    int (*admit)(struct admission *a, struct store_txn *t, struct error **err);
    /* … and this when the object really goes (no finalizers left): drops its secrets. */
    int (*removed)(struct admission *a, struct store_txn *t, struct error **err);
    /* What /metrics says of these objects, beside how many there are. On an event thread: nothing is parsed. */
    void (*gauges)(struct buffer *b, void *context);
    /* Those who answer what the definition names under x-open-hydra-subresources: one for each. */
    const struct subresource_handler *subresources; /* ended by name == NULL */
};

/* The handler answers the request (answer.h); `object` is a reference that lives until the handler returns, NULL
 * where the subresource makes it (kind_subresource.creates) and it is not there; routing and authorisation are done. */
struct subresource_handler {
    const char *name;
    enum flow_what load; /* as what a request for it counts */
    void (*handle)(struct request *r, struct object *object, void *context);
};
