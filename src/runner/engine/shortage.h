#pragma once

#include <sys/types.h>

#include "runner/runtime/runtime.h"

/*
 * What containers that run lack: memory, processes, room in what is memory of theirs. The kernel counts it for each
 * control group; one thread reads that every few seconds, so that nobody asks the engine for it. Thread-safe.
 */
struct shortages;
struct shortages *shortages_new(int stop_fd);
/* Whom to tell of news; before the first round. `changed` as in runtime.h: one lacks something that it did not lack before, or no more. */
void shortages_listen(struct shortages *s, const struct runtime_listener *l);
void shortages_start(struct shortages *s);
/* The stop descriptor must be readable; waits for the thread. */
void shortages_free(struct shortages *s);
/* That container runs for it, with that first process. */
void shortages_watch(struct shortages *s, const char *instance, const char *device, const char *container, pid_t pid);
void shortages_forget(struct shortages *s, const char *instance);
/* As it was seen last. False: it was not looked at yet. */
bool shortages_of(struct shortages *s, const char *instance, struct runtime_shortage *out);
/* One round of looking, which the thread does again and again. `proc` is /proc. */
void shortages_round(struct shortages *s, const char *proc);
