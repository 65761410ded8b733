#pragma once

#include "http/http.h"

/*
 * Requests for a running device of which the runner has not told us yet where it listens (we were started a moment ago):
 * put to sleep until it does, for some seconds. A thread of its own answers them.
 */
struct waiting_ops {
    bool (*is_told)(void *arg, const char *device_uid); /* called under this room's lock */
    void (*answer)(void *arg, struct http_exchange *x); /* it has been told, or there is no more time */
    void *arg;
};
struct waiting_room;
struct waiting_room *waiting_room_new(const struct waiting_ops *ops);
/* Answers all that still wait. */
void waiting_room_free(struct waiting_room *room);
/* False: it is told by now, or too many wait. */
bool waiting_room_enter(struct waiting_room *room, struct http_exchange *x, const char *device_uid);
/* After the endpoint is known. */
void waiting_room_wake(struct waiting_room *room, const char *device_uid);
