/* Events, resuming, compaction, and being told. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "base/thread.h"
#include "unit/store/fixture.h"

static const char *const type_names[] = {"+", "~", "-"};

/* "+a@1 ~a@2(1) -a@3(2) |3": type, name, revision, that of the state before; then how far the log was looked at. */
static char *events(struct store *s, const char *collection, uint64_t after, size_t max)
{
    struct buffer b = BUFFER_MAX(1 << 20);
    struct event *out = xcalloc(max, sizeof(*out));
    uint64_t reached = 0;
    _cleanup_error_ struct error *err = NULL;

    int n = store_events(s, collection, after, out, max, &reached, &err);
    for (int i = 0; i < n; i++) {
        assert_int_equal(out[i].revision, out[i].object->revision);
        buffer_printf(&b, "%s%s@%llu", type_names[out[i].type], out[i].object->name,
                      (unsigned long long)out[i].revision);
        if (out[i].previous)
            buffer_printf(&b, "(%llu)", (unsigned long long)out[i].previous->revision);
        buffer_puts(&b, " ");
        event_release(&out[i]);
    }
    if (n < 0)
        buffer_printf(&b, "%s", reason_name(err->reason));
    else
        buffer_printf(&b, "|%llu", (unsigned long long)reached);
    free(out);
    return buffer_steal(&b);
}

static void check(struct store *s, const char *collection, uint64_t after, size_t max, const char *expected)
{
    _cleanup_free_ char *got = events(s, collection, after, max);
    assert_string_equal(got, expected);
}

static void test_events(void **state)
{
    struct fixture f = {0};

    fixture_open(&f);
    check(f.store, "c", 0, 10, "|0");
    put(f.store, "c", "a", "1");
    put(f.store, "d", "x", "2");
    put(f.store, "c", "b", "3");
    put(f.store, "c", "a", "4");
    take_away(f.store, "c", "a");
    put(f.store, "d", "y", "6");
    check(f.store, "c", 0, 10, "+a@1 +b@3 ~a@4(1) -a@5(4) |6");
    check(f.store, "c", 3, 10, "~a@4(1) -a@5(4) |6");
    check(f.store, "c", 0, 2, "+a@1 +b@3 |3");
    check(f.store, "c", 3, 2, "~a@4(1) -a@5(4) |6");
    check(f.store, "d", 0, 10, "+x@2 +y@6 |6");
    check(f.store, "none", 2, 10, "|6");
    check(f.store, "c", 6, 10, "|6");
    check(f.store, "c", 7, 10, "Timeout");
    fixture_cleanup(&f);
}

static void test_resume_after_reopen(void **state)
{
    struct fixture f = {0};

    fixture_open(&f);
    put(f.store, "c", "a", "1");
    put(f.store, "c", "b", "2");
    put(f.store, "c", "a", "3");
    take_away(f.store, "c", "b");
    put(f.store, "c", "b", "5");
    for (int round = 0; round < 3; round++) {
        fixture_reopen(&f);
        struct event out[5];
        uint64_t reached;
        assert_int_equal(store_events(f.store, "c", 0, out, 5, &reached, NULL), 5);
        static const char *const json[] = {"{\"v\":\"1\",\"r\":1}", "{\"v\":\"2\",\"r\":2}", "{\"v\":\"3\",\"r\":3}",
                                           "{\"final\":true,\"r\":4}", "{\"v\":\"5\",\"r\":5}"};
        for (int i = 0; i < 5; i++) {
            assert_string_equal(out[i].object->json.p, json[i]);
            event_release(&out[i]);
        }
        check(f.store, "c", 2, 10, "~a@3 -b@4 +b@5 |5");
    }
    /* What is present is held once, whether the cache or the log names it. */
    struct object *o = store_get(f.store, "c", STR("b"));
    assert_int_equal(atomic_load(&o->references), 3);
    object_unref(o);
    assert_int_equal(put(f.store, "c", "a", "6"), 6);
    check(f.store, "c", 5, 10, "~a@6(3) |6");
    fixture_cleanup(&f);
}

static void test_compaction_by_count(void **state)
{
    struct fixture f = {.options.log_max_events = 10};
    char name[16];

    fixture_open(&f);
    for (int i = 0; i < 30; i++) {
        snprintf(name, sizeof(name), "n%d", i % 3);
        put(f.store, "c", name, "x");
    }
    put(f.store, "d", "keeps", "x");
    for (int round = 0; round < 2; round++) {
        check(f.store, "c", 20, 10, "Expired");
        check(f.store, "c", 0, 10, "Expired");
        check(f.store, "d", 21, 10, "+keeps@31 |31");
        _cleanup_free_ char *got = events(f.store, "c", 21, 100);
        assert_true(starts_with(got, round ? "~n0@22 ~n1@23 " : "~n0@22(19) ~n1@23(20) "));
        fixture_reopen(&f);
    }
    /* The objects are all there, however old. */
    assert_int_equal(store_count(f.store, "c"), 3);
    /* A present object whose event was dropped long ago changes, and its old bytes are nobody's. */
    for (int i = 0; i < 12; i++)
        put(f.store, "d", "other", "x");
    put(f.store, "c", "n0", "again");
    fixture_reopen(&f);
    expect(f.store, "c", "n0", "again", 44);
    check(f.store, "c", 43, 10, "~n0@44 |44");
    check(f.store, "c", 33, 10, "Expired");
    fixture_cleanup(&f);
}

static void test_compaction_by_age(void **state)
{
    struct fixture f = {.options.log_max_age_seconds = 3600};

    fixture_open(&f);
    put(f.store, "c", "a", "1");
    check(f.store, "c", 0, 10, "+a@1 |1");
    /* Make the events old, as if hours had passed. */
    store_close(f.store);
    f.store = NULL;
    _cleanup_free_ char *path = fixture_path(&f, "open-hydra.db");
    database_number(path, "UPDATE log SET time = time - 7200");
    fixture_reopen(&f);
    check(f.store, "c", 0, 10, "Expired");
    check(f.store, "c", 1, 10, "|1");
    expect(f.store, "c", "a", "1", 1);
    put(f.store, "c", "a", "2");
    check(f.store, "c", 1, 10, "~a@2(1) |2");
    fixture_cleanup(&f);
}

/* The rows of dropped events leave the disk, and only those. */
static void test_compaction_on_disk(void **state)
{
    struct fixture f = {.options.log_max_events = 100};

    fixture_open(&f);
    _cleanup_free_ char *path = fixture_path(&f, "open-hydra.db");
    for (int i = 0; i < 1300; i++)
        put(f.store, "c", i % 2 ? "a" : "b", "x");
    fixture_reopen(&f);
    assert_true(database_number(path, "SELECT count(*) FROM log") < 1024 + 200);
    assert_int_equal(store_count(f.store, "c"), 2);
    _cleanup_free_ char *got = events(f.store, "c", 1200, 100);
    assert_non_null(strstr(got, "|1300"));
    fixture_cleanup(&f);
}

/* --- Being told --- */

struct watcher {
    struct store_watch watch;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int told, running;
    bool gone;
};

static void wake(void *arg)
{
    struct watcher *w = arg;
    pthread_mutex_lock(&w->lock);
    assert_false(w->gone);
    w->told++;
    pthread_cond_broadcast(&w->changed);
    pthread_mutex_unlock(&w->lock);
}

static void watcher_init(struct watcher *w)
{
    *w = (struct watcher){.watch = {.wake = wake, .arg = w}};
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->changed, NULL);
}

static void wait_told(struct watcher *w, int n)
{
    pthread_mutex_lock(&w->lock);
    while (w->told < n)
        pthread_cond_wait(&w->changed, &w->lock);
    pthread_mutex_unlock(&w->lock);
}

static int told(struct watcher *w)
{
    LOCK_SCOPE(&w->lock);
    return w->told;
}

static void test_watch(void **state)
{
    struct fixture f = {0};
    struct watcher c, d;

    fixture_open(&f);
    watcher_init(&c);
    watcher_init(&d);
    store_watch(f.store, "c", &c.watch);
    store_watch(f.store, "d", &d.watch);
    put(f.store, "c", "a", "1");
    wait_told(&c, 1);
    put(f.store, "d", "a", "1");
    wait_told(&d, 1);
    assert_int_equal(told(&c), 1);
    store_unwatch(f.store, "c", &c.watch);
    put(f.store, "c", "a", "2");
    put(f.store, "d", "a", "2");
    wait_told(&d, 2);
    assert_int_equal(told(&c), 1);
    store_unwatch(f.store, "d", &d.watch);
    fixture_cleanup(&f);
}

/* Watchers come and go while others are told; one that has gone is never called. */
struct crowd {
    struct store *store;
    int rounds;
};

static void *come_and_go(void *arg)
{
    struct crowd *c = arg;
    struct watcher w[8];

    for (int round = 0; round < c->rounds; round++) {
        for (size_t i = 0; i < ARRAY_SIZE(w); i++) {
            watcher_init(&w[i]);
            store_watch(c->store, "c", &w[i].watch);
        }
        for (size_t i = 0; i < ARRAY_SIZE(w); i++) {
            size_t at = (i * 3 + (size_t)round) % ARRAY_SIZE(w);
            store_unwatch(c->store, "c", &w[at].watch);
            pthread_mutex_lock(&w[at].lock);
            w[at].gone = true;
            pthread_mutex_unlock(&w[at].lock);
            pthread_mutex_destroy(&w[at].lock);
            pthread_cond_destroy(&w[at].changed);
        }
    }
    return NULL;
}

static void test_unwatch_races_with_wake(void **state)
{
    struct fixture f = {.options.no_sync = true};
    pthread_t threads[3];

    fixture_open(&f);
    struct crowd c = {f.store, 300};
    for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
        threads[i] = thread_start("crowd", come_and_go, &c);
    for (int i = 0; i < 500; i++)
        put(f.store, "c", "a", "x");
    for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
        pthread_join(threads[i], NULL);
    fixture_cleanup(&f);
}

struct leaver {
    struct store *store;
    struct store_watch watch;
    struct watcher after;
};

static void leave(void *arg)
{
    struct leaver *l = arg;
    store_unwatch(l->store, "c", &l->watch);
}

static void test_unwatch_while_told(void **state)
{
    struct fixture f = {0};
    struct leaver l = {0};

    fixture_open(&f);
    l.store = f.store;
    l.watch = (struct store_watch){.wake = leave, .arg = &l};
    watcher_init(&l.after);
    store_watch(f.store, "c", &l.after.watch);
    store_watch(f.store, "c", &l.watch);
    put(f.store, "c", "a", "1");
    wait_told(&l.after, 1);
    put(f.store, "c", "a", "2");
    wait_told(&l.after, 2);
    store_unwatch(f.store, "c", &l.after.watch);
    fixture_cleanup(&f);
}

/* Who is to be told next goes while another is told. */
struct remover {
    struct store *store;
    struct store_watch watch;
    struct watcher *next;
};

static void remove_next(void *arg)
{
    struct remover *r = arg;

    if (r->next == NULL)
        return;
    store_unwatch(r->store, "c", &r->next->watch);
    assert_int_equal(told(r->next), 0);
    free(r->next);
    r->next = NULL;
}

static void test_the_next_goes(void **state)
{
    struct fixture f = {0};
    struct watcher last;

    fixture_open(&f);
    struct remover r = {.store = f.store, .next = xcalloc(1, sizeof(*r.next))};
    r.watch = (struct store_watch){.wake = remove_next, .arg = &r};
    watcher_init(&last);
    watcher_init(r.next);
    /* Told in the other order. */
    store_watch(f.store, "c", &last.watch);
    store_watch(f.store, "c", &r.next->watch);
    store_watch(f.store, "c", &r.watch);
    put(f.store, "c", "a", "1");
    wait_told(&last, 1);
    put(f.store, "c", "a", "2");
    wait_told(&last, 2);
    store_unwatch(f.store, "c", &r.watch);
    store_unwatch(f.store, "c", &last.watch);
    assert_null(r.next);
    fixture_cleanup(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_events),
        cmocka_unit_test(test_resume_after_reopen),
        cmocka_unit_test(test_compaction_by_count),
        cmocka_unit_test(test_compaction_by_age),
        cmocka_unit_test(test_compaction_on_disk),
        cmocka_unit_test(test_watch),
        cmocka_unit_test(test_unwatch_races_with_wake),
        cmocka_unit_test(test_unwatch_while_told),
        cmocka_unit_test(test_the_next_goes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
