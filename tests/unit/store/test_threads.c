/* Writers, readers and watchers at once: for the thread sanitizer, and for what must hold whenever one looks. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/thread.h"
#include "unit/store/fixture.h"

#define WRITERS 3
#define WRITES 300
#define NAMES 20

struct shared {
    struct store *store;
    atomic_bool stop;
    atomic_uint failures;
};

struct part {
    struct shared *shared;
    int number;
    pthread_t thread;
};

static void require(struct shared *s, bool truth)
{
    if (!truth)
        atomic_fetch_add(&s->failures, 1);
}

static void *write_much(void *arg)
{
    struct part *p = arg;
    uint64_t last = 0;
    char name[32];

    for (int i = 0; i < WRITES; i++) {
        snprintf(name, sizeof(name), "w%d-%d", p->number, i % NAMES);
        struct change_args c = {"c", name, "x", 0};
        if (i % 7 == 6) {
            /* The first ones come before their objects. */
            require(p->shared, store_run(p->shared->store, delete_fn, &c, NULL) == 0 || i < NAMES);
        } else {
            require(p->shared, store_run(p->shared->store, put_fn, &c, NULL) == 0);
            /* What is acknowledged can be read. */
            struct object *o = store_get(p->shared->store, "c", str_from(name));
            require(p->shared, o && o->revision == c.revision);
            object_unref(o);
        }
        require(p->shared, c.revision == 0 || c.revision > last);
        last = c.revision ? c.revision : last;
        require(p->shared, store_revision(p->shared->store) >= last);
    }
    return NULL;
}

struct scan {
    struct shared *shared;
    char last[64];
    uint64_t newest;
};

static bool in_order(void *arg, struct object *o)
{
    struct scan *s = arg;
    require(s->shared, strcmp(s->last, o->name) < 0);
    snprintf(s->last, sizeof(s->last), "%s", o->name);
    if (o->revision > s->newest)
        s->newest = o->revision;
    return true;
}

static void *read_much(void *arg)
{
    struct part *p = arg;

    while (!atomic_load(&p->shared->stop)) {
        struct scan s = {.shared = p->shared};
        uint64_t revision = store_list(p->shared->store, "c", STR(""), in_order, &s);
        require(p->shared, s.newest <= revision);
        size_t n;
        free(store_secret(p->shared->store, "s", STR("k"), &n));
        store_count(p->shared->store, "c");
    }
    return NULL;
}

/* Follows the log from its beginning and keeps a copy of the collection: at the end it is the collection. */
struct follower {
    struct part part;
    struct store_watch watch;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool woken;
    uint64_t at;
    uint64_t copy[WRITERS][NAMES];
};

static void wake(void *arg)
{
    struct follower *f = arg;
    LOCK_SCOPE(&f->lock);
    f->woken = true;
    pthread_cond_signal(&f->changed);
}

static void follow(struct follower *f, const struct event *e)
{
    int writer = e->object->name[1] - '0', name = atoi(e->object->name + 3);
    uint64_t *slot = &f->copy[writer][name];

    require(f->part.shared, e->revision > f->at || e->revision == e->object->revision);
    require(f->part.shared, (e->type == EVENT_ADDED) == (*slot == 0));
    require(f->part.shared, (e->previous ? e->previous->revision : 0) == *slot);
    *slot = e->type == EVENT_DELETED ? 0 : e->revision;
}

static void drain(struct follower *f)
{
    struct event out[16];
    uint64_t reached;
    int n;

    while ((n = store_events(f->part.shared->store, "c", f->at, out, 16, &reached, NULL)) >= 0) {
        for (int i = 0; i < n; i++) {
            follow(f, &out[i]);
            event_release(&out[i]);
        }
        f->at = reached;
        if (n < 16)
            return;
    }
    require(f->part.shared, false);
}

static void *follow_all(void *arg)
{
    struct follower *f = arg;

    store_watch(f->part.shared->store, "c", &f->watch);
    for (;;) {
        drain(f);
        LOCK_SCOPE(&f->lock);
        while (!f->woken && !atomic_load(&f->part.shared->stop))
            pthread_cond_wait(&f->changed, &f->lock);
        if (!f->woken)
            break;
        f->woken = false;
    }
    store_unwatch(f->part.shared->store, "c", &f->watch);
    drain(f);
    return NULL;
}

static void check_copy(struct follower *f)
{
    char name[32];

    for (int w = 0; w < WRITERS; w++)
        for (int i = 0; i < NAMES; i++) {
            snprintf(name, sizeof(name), "w%d-%d", w, i);
            struct object *o = store_get(f->part.shared->store, "c", str_from(name));
            assert_int_equal(o ? o->revision : 0, f->copy[w][i]);
            object_unref(o);
        }
}

static void test_all_at_once(void **state)
{
    struct fixture fixture = {.options.no_sync = true};
    struct part writers[WRITERS], readers[3];
    struct follower followers[2] = {0};

    fixture_open(&fixture);
    struct shared shared = {.store = fixture.store};
    for (size_t i = 0; i < ARRAY_SIZE(followers); i++) {
        followers[i].part.shared = &shared;
        followers[i].watch = (struct store_watch){.wake = wake, .arg = &followers[i]};
        pthread_mutex_init(&followers[i].lock, NULL);
        pthread_cond_init(&followers[i].changed, NULL);
        followers[i].part.thread = thread_start("follower", follow_all, &followers[i]);
    }
    for (int i = 0; i < 3; i++) {
        readers[i] = (struct part){&shared, i, 0};
        readers[i].thread = thread_start("reader", read_much, &readers[i]);
    }
    for (int i = 0; i < WRITERS; i++) {
        writers[i] = (struct part){&shared, i, 0};
        writers[i].thread = thread_start("writer", write_much, &writers[i]);
    }
    for (int i = 0; i < WRITERS; i++)
        pthread_join(writers[i].thread, NULL);
    atomic_store(&shared.stop, true);
    for (int i = 0; i < 3; i++)
        pthread_join(readers[i].thread, NULL);
    for (size_t i = 0; i < ARRAY_SIZE(followers); i++) {
        pthread_mutex_lock(&followers[i].lock);
        pthread_cond_signal(&followers[i].changed);
        pthread_mutex_unlock(&followers[i].lock);
        pthread_join(followers[i].part.thread, NULL);
        check_copy(&followers[i]);
    }
    assert_int_equal(atomic_load(&shared.failures), 0);
    fixture_reopen(&fixture);
    shared.store = fixture.store;
    check_copy(&followers[0]);
    fixture_cleanup(&fixture);
}

/* --- Many submitted at once: done comes in order, and revisions too --- */

struct submitted {
    struct change_args change;
    char name[16];
    struct counter *counter;
};

struct counter {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int left;
    uint64_t last;
    bool ordered;
};

static int submitted_fn(struct store_txn *t, void *arg, struct error **err)
{
    struct submitted *s = arg;
    return put_fn(t, &s->change, err);
}

static void submitted_done(void *arg, struct error *err)
{
    struct submitted *s = arg;
    LOCK_SCOPE(&s->counter->lock);
    s->counter->ordered = s->counter->ordered && err == NULL && s->change.revision == s->counter->last + 1;
    s->counter->last = s->change.revision;
    s->counter->left--;
    pthread_cond_signal(&s->counter->changed);
}

static void test_submit_many(void **state)
{
    struct fixture f = {0};
    size_t n = 2000;
    struct counter counter = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, (int)n, 0, true};
    struct submitted *s = xcalloc(n, sizeof(*s));

    fixture_open(&f);
    for (size_t i = 0; i < n; i++) {
        snprintf(s[i].name, sizeof(s[i].name), "n%zu", i);
        s[i].change = (struct change_args){"c", s[i].name, "x", 0};
        s[i].counter = &counter;
        store_submit(f.store, submitted_fn, &s[i], submitted_done);
    }
    pthread_mutex_lock(&counter.lock);
    while (counter.left)
        pthread_cond_wait(&counter.changed, &counter.lock);
    pthread_mutex_unlock(&counter.lock);
    assert_true(counter.ordered);
    fixture_reopen(&f);
    assert_int_equal(store_count(f.store, "c"), n);
    free(s);
    fixture_cleanup(&f);
}

/* What is queued when the store is closed is still written. */
static void test_close_commits_the_queue(void **state)
{
    struct fixture f = {0};
    struct counter counter = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 100, 0, true};
    struct submitted s[100];

    fixture_open(&f);
    for (size_t i = 0; i < 100; i++) {
        snprintf(s[i].name, sizeof(s[i].name), "n%zu", i);
        s[i].change = (struct change_args){"c", s[i].name, "x", 0};
        s[i].counter = &counter;
        store_submit(f.store, submitted_fn, &s[i], submitted_done);
    }
    fixture_reopen(&f);
    assert_int_equal(counter.left, 0);
    assert_int_equal(store_count(f.store, "c"), 100);
    fixture_cleanup(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_at_once),
        cmocka_unit_test(test_submit_many),
        cmocka_unit_test(test_close_commits_the_queue),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
