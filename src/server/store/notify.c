#include "server/store/notify.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/thread.h"
#include "server/store/store.h"

struct topic {
    struct topic *next;
    char *collection;
    struct store_watch *first;
    bool changed;
};

struct notifier {
    pthread_mutex_t lock;
    pthread_cond_t work;         /* a topic has changed, or the end */
    pthread_cond_t settled;      /* `running` is done */
    struct topic *topics;        /* few; they stay */
    struct store_watch *at;      /* who is told next; moves on when that one is removed */
    struct store_watch *running; /* who is being told */
    bool ending;
    pthread_t thread;
};

static struct topic *find(struct notifier *n, const char *collection)
{
    struct topic *t = n->topics;

    while (t && strcmp(t->collection, collection) != 0)
        t = t->next;
    if (t == NULL) {
        t = xcalloc(1, sizeof(*t));
        t->collection = xstrdup(collection);
        t->next = n->topics;
        n->topics = t;
    }
    return t;
}

/* With the lock held, which it gives up around each call. Whoever joins meanwhile is put in front and not told: it has
 * read what there is after it joined. */
static void tell_all(struct notifier *n, struct topic *t)
{
    n->at = t->first;
    while (n->at) {
        struct store_watch *w = n->running = n->at;
        n->at = w->next;
        pthread_mutex_unlock(&n->lock);
        w->wake(w->arg);
        pthread_mutex_lock(&n->lock);
        n->running = NULL;
        pthread_cond_broadcast(&n->settled);
    }
}

static struct topic *next_changed(struct notifier *n)
{
    for (struct topic *t = n->topics; t; t = t->next)
        if (t->changed)
            return t;
    return NULL;
}

static void *run(void *arg)
{
    struct notifier *n = arg;

    LOCK_SCOPE(&n->lock);
    for (;;) {
        struct topic *t = next_changed(n);
        if (t) {
            t->changed = false;
            tell_all(n, t);
        } else if (n->ending) {
            return NULL;
        } else {
            pthread_cond_wait(&n->work, &n->lock);
        }
    }
}

struct notifier *notifier_new(void)
{
    struct notifier *n = xcalloc(1, sizeof(*n));

    pthread_mutex_init(&n->lock, NULL);
    pthread_cond_init(&n->work, NULL);
    pthread_cond_init(&n->settled, NULL);
    n->thread = thread_start("store-notify", run, n);
    return n;
}

void notifier_free(struct notifier *n)
{
    pthread_mutex_lock(&n->lock);
    n->ending = true;
    pthread_cond_signal(&n->work);
    pthread_mutex_unlock(&n->lock);
    pthread_join(n->thread, NULL);
    for (struct topic *t = n->topics; t;) {
        struct topic *next = t->next;
        free(t->collection);
        free(t);
        t = next;
    }
    pthread_cond_destroy(&n->work);
    pthread_cond_destroy(&n->settled);
    pthread_mutex_destroy(&n->lock);
    free(n);
}

void notifier_add(struct notifier *n, const char *collection, struct store_watch *w)
{
    LOCK_SCOPE(&n->lock);
    struct topic *t = find(n, collection);

    w->previous = NULL;
    w->next = t->first;
    if (t->first)
        t->first->previous = w;
    t->first = w;
}

void notifier_remove(struct notifier *n, const char *collection, struct store_watch *w)
{
    LOCK_SCOPE(&n->lock);
    struct topic *t = find(n, collection);

    if (n->at == w)
        n->at = w->next;
    *(w->previous ? &w->previous->next : &t->first) = w->next;
    if (w->next)
        w->next->previous = w->previous;
    w->next = w->previous = NULL;
    /* A watcher that removes itself while it is told would wait for itself. */
    while (n->running == w && !pthread_equal(pthread_self(), n->thread))
        pthread_cond_wait(&n->settled, &n->lock);
}

void notifier_tell(struct notifier *n, const char *collection)
{
    LOCK_SCOPE(&n->lock);
    find(n, collection)->changed = true;
    pthread_cond_signal(&n->work);
}
