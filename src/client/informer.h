#pragma once

#include "client/client.h"

/*
 * A local copy of all objects of one kind, kept current by list and watch: a page-wise list at first, then a watch from
 * its revision; resumed where it broke, listed anew after 410. The copy is replaced as a whole by a list, so that
 * nobody sees half of one.
 */
struct cached {
    _Atomic unsigned refs;
    yyjson_doc *doc;
    yyjson_val *object;
};
void cached_unref(struct cached *c);
static inline void cleanup_cachedp(struct cached **c)
{
    cached_unref(*c);
}
#define _cleanup_cached_ _cleanup_(cleanup_cachedp)

struct informer_options {
    struct client *client;
    const char *plural;
    /* Called from the informer's thread, no lock held. `changed`: the object of that name came, changed or went.
     * `connected`: the server answers (again), and at the first time also: the copy is complete. `lost`: it does not.
     */
    void (*changed)(void *arg, const char *name);
    void (*connected)(void *arg);
    void (*lost)(void *arg, const char *message);
    void *arg;
};

struct informer;
struct informer *informer_new(const struct informer_options *options);
void informer_start(struct informer *i);
/* The client's stop descriptor must be readable; waits for the thread. */
void informer_free(struct informer *i);
bool informer_synced(struct informer *i);
/* At which revision of the store the copy is. It goes back where the store does: an older one was restored. */
uint64_t informer_revision(struct informer *i);
unsigned informer_restored(struct informer *i);                    /* how often it went back */
struct cached *informer_get(struct informer *i, const char *name); /* NULL: none. The caller unrefs */
/* All of them; the caller unrefs each and frees the list. */
size_t informer_all(struct informer *i, struct cached ***out);
