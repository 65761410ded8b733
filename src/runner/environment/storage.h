#pragma once

#include "runner/environment/home_use.h"
#include "runner/runtime/runtime.h"

/*
 * Who has how much: one thread of the lowest priority looks at the homes of those who have an environment, one after the
 * other, so many files a second, and spends a twentieth of its time on each at most. What it found stays known as long
 * as the runner lives; what an earlier one wrote into a status is taken over.
 */
struct storage;
struct storage_options {
    struct runtime *runtime;
    int stop_fd;
    /* What is to be said of that device's owner is different now. From the thread, no lock held. */
    void (*changed)(void *arg, const char *device);
    void *arg;
};
struct storage *storage_new(const struct storage_options *options);
void storage_start(struct storage *s);
/* The stop descriptor must be readable; waits for the thread. */
void storage_stop(struct storage *s);
void storage_free(struct storage *s);

/* The homes of that owner are looked at from now on, until it leaves. `remembered`: what the status of the device says. */
void storage_follow(struct storage *s, const char *device, const struct runtime_owner *owner,
                    const struct home_use *remembered);
void storage_leave(struct storage *s, const char *owner);
/* Somebody waits for these to become smaller: they are looked at again soon. */
void storage_hurry(struct storage *s, const char *owner);
/* What is to be said; false: nothing is known. */
bool storage_find(struct storage *s, const char *owner, struct home_use *out);
