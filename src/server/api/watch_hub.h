#pragma once

#include <stdatomic.h>

#include "server/api/request.h"

/* The open watches: one thread for the deadlines and bookmarks of all of them. */
struct watch_hub *watch_hub_new(struct api *api);
/* After the HTTP server has stopped: no stream is open any more. */
void watch_hub_free(struct watch_hub *hub);
size_t watch_count(struct watch_hub *hub, size_t resource); /* by the index in api->resources */

struct watch_member {
    struct watch_member *next, *previous; /* the hub's, as what follows */
    struct store_watch link;
    int64_t look_us;         /* when the right is looked at again … */
    atomic_bool right_ended; /* … and what was seen */
    bool joined;
    const struct request *r; /* the watch's own: who watches what, */
    struct source *source;   /* what is woken where its collection changes, its right has ended, */
    _Atomic int64_t due_us;  /* and at this time (clock_monotonic_us) */
};
/* Not before the stream begins: from then on its close is sure to come. */
void watch_hub_join(struct watch_member *m);
void watch_hub_leave(struct watch_member *m); /* where it has joined */
/* A session that ended, a revoked certificate, a user demoted or deleted: what happened since is not told any more. */
bool watch_right_has_ended(const struct request *r);
