#pragma once

#include "server/api/flow.h"
#include "server/api/hooks.h"
#include "server/store/store.h"

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
    /* Told of each operation as it is answered, whatever came of it; of a stream when it begins, without its bytes. From
     * any thread; must not block. NULL: nobody. */
    void (*audit)(void *context, const struct operation *op, const struct operation_outcome *outcome);
    struct flow *flow;         /* what a caller may have at a time; NULL: anything */
    struct workers *workers;   /* for hooks->prepare */
    struct workers *parsers;   /* for large bodies and lists (api/heavy.h). NULL: all on the event thread */
    void *context;             /* handed to hooks */
    unsigned watch_seconds;    /* default timeoutSeconds of a watch, jittered; 0: 1800 */
    unsigned bookmark_seconds; /* between two bookmarks; 0: 60 */
    const char *version;       /* of the product, for /version */
};
