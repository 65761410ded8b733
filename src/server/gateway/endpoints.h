#pragma once

#include "base/arena.h"
#include "server/gateway/endpoint.h"

/* Where the environments listen that the runner has told of, by the uid of the device. In memory alone: it tells again
 * when it connects. From any thread. */
struct endpoints;
struct endpoints *endpoints_new(void);
void endpoints_free(struct endpoints *all);
/* All of a device, instead of what there was. They have been checked. */
void endpoints_set(struct endpoints *all, const char *device_uid, const struct endpoint *list, size_t n);
void endpoints_forget(struct endpoints *all, const char *device_uid);
/* The one of that name, or (NULL) the first, to which the device's address leads; in the arena. */
bool endpoints_find(struct endpoints *all, const char *device_uid, const char *name, struct arena *arena,
                    struct endpoint *out);
/* Somebody works in it, at that time (microseconds since 1970); and when that was last; 0: not since it is known
 * here. */
void endpoints_note_visit(struct endpoints *all, const char *device_uid, int64_t now_us);
int64_t endpoints_last_visit(struct endpoints *all, const char *device_uid);
bool endpoints_has(struct endpoints *all, const char *device_uid);
