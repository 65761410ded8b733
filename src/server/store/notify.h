#pragma once

#include <pthread.h>

/*
 * Tells watchers, on a thread of its own, so that ten thousand of them delay neither the writer nor each other's
 * joining: no lock is held while one is told.
 */
struct notifier;
struct store_watch;

struct notifier *notifier_new(void);
void notifier_free(struct notifier *n);
void notifier_add(struct notifier *n, const char *collection, struct store_watch *w);
void notifier_remove(struct notifier *n, const char *collection, struct store_watch *w);
/* Something in the collection has changed. Does not wait. */
void notifier_tell(struct notifier *n, const char *collection);
