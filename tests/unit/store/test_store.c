/* Objects, secrets and transactions, before and after a restart. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "server/store/cache.h"
#include "unit/store/fixture.h"

static void test_put_get_delete(void **state)
{
    struct fixture f = {0};

    fixture_open(&f);
    assert_int_equal(store_revision(f.store), 0);
    assert_int_equal(put(f.store, "devices", "b", "1"), 1);
    assert_int_equal(put(f.store, "devices", "a", "2"), 2);
    assert_int_equal(put(f.store, "users", "b", "3"), 3);
    assert_int_equal(put(f.store, "devices", "b", "4"), 4);
    for (int round = 0; round < 2; round++) {
        expect(f.store, "devices", "a", "2", 2);
        expect(f.store, "devices", "b", "4", 4);
        expect(f.store, "users", "b", "3", 3);
        expect(f.store, "users", "a", NULL, 0);
        expect(f.store, "none", "a", NULL, 0);
        assert_int_equal(store_count(f.store, "devices"), 2);
        assert_int_equal(store_count(f.store, "none"), 0);
        assert_int_equal(store_revision(f.store), 4);
        fixture_reopen(&f);
    }
    assert_int_equal(take_away(f.store, "devices", "b"), 5);
    expect(f.store, "devices", "b", NULL, 0);
    fixture_reopen(&f);
    expect(f.store, "devices", "b", NULL, 0);
    assert_int_equal(store_revision(f.store), 5);
    assert_int_equal(put(f.store, "devices", "b", "6"), 6);
    fixture_cleanup(&f);
}

struct page {
    struct buffer names;
    int left;
};

static bool take(void *arg, struct object *o)
{
    struct page *p = arg;
    buffer_printf(&p->names, "%s ", o->name);
    return --p->left > 0;
}

static void check_page(struct store *s, const char *after, int n, const char *expected)
{
    struct page p = {BUFFER_MAX(4096), n};
    store_list(s, "c", str_from(after), take, &p);
    assert_string_equal(p.names.p ? p.names.p : "", expected);
    buffer_free(&p.names);
}

static void test_list_order(void **state)
{
    struct fixture f = {0};
    static const char *const names[] = {"b", "a-b", "a", "a.b", "ab", "c", "A"};

    fixture_open(&f);
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        put(f.store, "c", names[i], "x");
    for (int round = 0; round < 2; round++) {
        check_page(f.store, "", 100, "A a a-b a.b ab b c ");
        check_page(f.store, "", 2, "A a ");
        check_page(f.store, "a", 2, "a-b a.b ");
        check_page(f.store, "a-", 1, "a-b ");
        check_page(f.store, "zz", 1, "");
        fixture_reopen(&f);
    }
    fixture_cleanup(&f);
}

/* As a damaged database gives them. */
static bool is_sorted(const char *const *names, size_t n, const char *expected)
{
    struct collection c = {0};
    _cleanup_buffer_ struct buffer order = BUFFER_MAX(256);

    for (size_t i = 0; i < n; i++)
        collection_append(&c, object_new(i + 1, str_from(names[i]), STR("u"), STR("{}")));
    bool sorted = collection_sort(&c);
    for (size_t i = 0; i < n; i++) {
        buffer_printf(&order, "%s ", c.items[i]->name);
        object_unref(c.items[i]);
    }
    free(c.items);
    assert_string_equal(buffer_str(&order).p, expected);
    return sorted;
}

static void test_names_are_there_once(void **state)
{
    assert_true(is_sorted(NULL, 0, ""));
    assert_true(is_sorted((const char *const[]){"b", "a-b", "a"}, 3, "a a-b b "));
    assert_false(is_sorted((const char *const[]){"b", "a", "b"}, 3, "a b b "));
    assert_false(is_sorted((const char *const[]){"a", "a"}, 2, "a a "));
}

/* --- Functions that fail, abandon, and see each other --- */

struct scenario {
    int order; /* set by the function */
    bool fail, abandon;
    const char *name;
    bool hook_ran, hook_freed;
    char *seen;
};

static void hook(void *arg)
{
    struct scenario *s = arg;
    s->hook_ran = true;
}

static void free_hook(void *arg)
{
    struct scenario *s = arg;
    s->hook_freed = true;
}

static bool see(void *arg, struct object *o)
{
    buffer_printf(arg, "%s ", o->name);
    return true;
}

static int staged(struct store_txn *t, void *arg, struct error **err)
{
    struct scenario *s = arg;
    struct change_args put_args = {"c", s->name, s->fail ? "failed" : "kept", 0};
    struct change_args delete_args = {"c", "gone", NULL, 0};
    struct buffer b = BUFFER_MAX(4096);

    put_fn(t, &put_args, err);
    put_fn(t, &put_args, err);
    struct object *mine = txn_get(t, "c", str_from(s->name));
    assert_non_null(mine);
    assert_int_equal(mine->revision, put_args.revision);
    if (txn_get(t, "c", STR("gone")))
        delete_fn(t, &delete_args, err);
    assert_null(txn_get(t, "c", STR("gone")));
    txn_list(t, "c", see, &b);
    s->seen = buffer_steal(&b);
    txn_secret_put(t, "scope", str_from(s->name), STR("secret"));
    assert_true(str_is(txn_secret(t, "scope", str_from(s->name)), "secret"));
    txn_after_commit(t, hook, s, free_hook);
    if (s->abandon)
        txn_abandon(t);
    return s->fail ? error_set(err, REASON_CONFLICT, "no") : 0;
}

static void test_failure_takes_only_its_own(void **state)
{
    struct fixture f = {0};
    _cleanup_error_ struct error *err = NULL;
    struct scenario failing = {.fail = true, .name = "m"}, dry = {.abandon = true, .name = "n"}, good = {.name = "o"};

    fixture_open(&f);
    put(f.store, "c", "gone", "x");
    put(f.store, "c", "z", "x");
    assert_int_equal(store_run(f.store, staged, &failing, &err), -1);
    assert_int_equal(err->reason, REASON_CONFLICT);
    assert_string_equal(failing.seen, "m z ");
    assert_true(failing.hook_freed && !failing.hook_ran);
    assert_int_equal(store_revision(f.store), 2);
    expect(f.store, "c", "gone", "x", 1);
    expect(f.store, "c", "m", NULL, 0);

    assert_int_equal(store_run(f.store, staged, &dry, NULL), 0);
    assert_true(dry.hook_freed && !dry.hook_ran);
    assert_int_equal(store_revision(f.store), 2);
    size_t n;
    assert_null(store_secret(f.store, "scope", STR("n"), &n));

    assert_int_equal(store_run(f.store, staged, &good, NULL), 0);
    assert_true(good.hook_freed && good.hook_ran);
    assert_int_equal(store_revision(f.store), 5);
    expect(f.store, "c", "o", "kept", 4);
    expect(f.store, "c", "gone", NULL, 0);
    free(failing.seen);
    free(dry.seen);
    free(good.seen);
    fixture_cleanup(&f);
}

/* Holds the writer until told, so that what is submitted meanwhile becomes one group. */
struct gate {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool open;
    int left;
};

static int wait_at_gate(struct store_txn *t, void *arg, struct error **err)
{
    struct gate *g = arg;
    pthread_mutex_lock(&g->lock);
    while (!g->open)
        pthread_cond_wait(&g->changed, &g->lock);
    pthread_mutex_unlock(&g->lock);
    return 0;
}

static void count_done(struct gate *g)
{
    pthread_mutex_lock(&g->lock);
    g->left--;
    pthread_cond_broadcast(&g->changed);
    pthread_mutex_unlock(&g->lock);
}

static void open_and_wait(struct gate *g)
{
    pthread_mutex_lock(&g->lock);
    g->open = true;
    pthread_cond_broadcast(&g->changed);
    while (g->left)
        pthread_cond_wait(&g->changed, &g->lock);
    pthread_mutex_unlock(&g->lock);
}

struct submitted {
    struct scenario scenario;
    struct gate *gate;
    enum reason reason;
    bool failed;
};

static int staged_submitted(struct store_txn *t, void *arg, struct error **err)
{
    struct submitted *s = arg;
    return staged(t, &s->scenario, err);
}

static void submitted_done(void *arg, struct error *err)
{
    struct submitted *s = arg;
    s->failed = err != NULL;
    if (err)
        s->reason = err->reason;
    error_free(err);
    count_done(s->gate);
}

static void gate_done(void *arg, struct error *err)
{
    error_free(err);
    count_done(arg);
}

static void test_group(void **state)
{
    struct fixture f = {0};
    struct gate gate = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false, 5};
    struct submitted s[4] = {
        {.scenario = {.name = "a"}, .gate = &gate},
        {.scenario = {.name = "b", .fail = true}, .gate = &gate},
        {.scenario = {.name = "a", .abandon = true}, .gate = &gate},
        {.scenario = {.name = "c"}, .gate = &gate},
    };

    fixture_open(&f);
    put(f.store, "c", "gone", "x");
    store_submit(f.store, wait_at_gate, &gate, gate_done);
    for (int i = 0; i < 4; i++)
        store_submit(f.store, staged_submitted, &s[i], submitted_done);
    open_and_wait(&gate);
    assert_false(s[0].failed);
    assert_true(s[1].failed && s[1].reason == REASON_CONFLICT);
    assert_false(s[2].failed);
    assert_false(s[3].failed);
    /* Each saw what was kept of those before it, in order. */
    assert_string_equal(s[0].scenario.seen, "a ");
    assert_string_equal(s[1].scenario.seen, "a b ");
    assert_string_equal(s[2].scenario.seen, "a ");
    assert_string_equal(s[3].scenario.seen, "a c ");
    /* gone 1; a 2 3, gone 4; c 5 6 */
    expect(f.store, "c", "a", "kept", 3);
    expect(f.store, "c", "c", "kept", 6);
    fixture_reopen(&f);
    expect(f.store, "c", "a", "kept", 3);
    expect(f.store, "c", "b", NULL, 0);
    expect(f.store, "c", "c", "kept", 6);
    assert_int_equal(store_revision(f.store), 6);
    for (int i = 0; i < 4; i++)
        free(s[i].scenario.seen);
    fixture_cleanup(&f);
}

/* --- Secrets --- */

static int set_secrets(struct store_txn *t, void *arg, struct error **err)
{
    txn_secret_put(t, "sessions", STR("k\0ey"), STR("v\0alue"));
    txn_secret_put(t, "sessions", STR("empty"), STR(""));
    txn_secret_put(t, "passwords", STR("k\0ey"), STR("other"));
    txn_secret_put(t, "sessions", STR("dropped"), STR("x"));
    txn_secret_delete(t, "sessions", STR("dropped"));
    assert_null(txn_secret(t, "sessions", STR("dropped")).p);
    assert_non_null(txn_secret(t, "sessions", STR("empty")).p);
    assert_null(txn_secret(t, "none", STR("x")).p);
    return 0;
}

static bool count(void *arg, struct str key, struct str value)
{
    (*(int *)arg)++;
    return true;
}

static int change_secrets(struct store_txn *t, void *arg, struct error **err)
{
    int n = 0;
    txn_secret_list(t, "sessions", count, &n);
    assert_int_equal(n, 2);
    txn_secret_delete(t, "sessions", STR("empty"));
    txn_secret_put(t, "sessions", STR("k\0ey"), STR("changed"));
    txn_secret_put(t, "sessions", STR("new"), STR("1"));
    n = 0;
    txn_secret_list(t, "sessions", count, &n);
    assert_int_equal(n, 2);
    return 0;
}

static void check_secret(struct store *s, const char *scope, struct str key, struct str expected)
{
    size_t n = 0;
    _cleanup_free_ char *value = store_secret(s, scope, key, &n);
    if (expected.p == NULL) {
        assert_null(value);
        return;
    }
    assert_non_null(value);
    assert_true(str_equal((struct str){value, n}, expected));
}

static void test_secrets(void **state)
{
    struct fixture f = {0};
    int n;

    fixture_open(&f);
    assert_int_equal(store_run(f.store, set_secrets, NULL, NULL), 0);
    for (int round = 0; round < 2; round++) {
        check_secret(f.store, "sessions", STR("k\0ey"), STR("v\0alue"));
        check_secret(f.store, "sessions", STR("empty"), STR(""));
        check_secret(f.store, "passwords", STR("k\0ey"), STR("other"));
        check_secret(f.store, "sessions", STR("dropped"), (struct str){NULL, 0});
        check_secret(f.store, "sessions", STR("k"), (struct str){NULL, 0});
        /* Secrets are no events and take no revision. */
        assert_int_equal(store_revision(f.store), 0);
        fixture_reopen(&f);
    }
    assert_int_equal(store_run(f.store, change_secrets, NULL, NULL), 0);
    for (int round = 0; round < 2; round++) {
        check_secret(f.store, "sessions", STR("k\0ey"), STR("changed"));
        check_secret(f.store, "sessions", STR("empty"), (struct str){NULL, 0});
        n = 0;
        store_secret_list(f.store, "sessions", count, &n);
        assert_int_equal(n, 2);
        n = 0;
        store_secret_list(f.store, "none", count, &n);
        assert_int_equal(n, 0);
        fixture_reopen(&f);
    }
    fixture_cleanup(&f);
}

/* One of a group, which sees what those before it have left. */
struct keeper {
    const char *value; /* NULL: deletes */
    bool fail;
    struct gate *gate;
    char *seen;
};

static bool see_secret(void *arg, struct str key, struct str value)
{
    buffer_printf(arg, "%s=%s ", key.p, value.p);
    return true;
}

static int keep_secret(struct store_txn *t, void *arg, struct error **err)
{
    struct keeper *k = arg;
    struct buffer b = BUFFER_MAX(4096);

    txn_secret_list(t, "scope", see_secret, &b);
    k->seen = buffer_steal(&b);
    if (k->value)
        txn_secret_put(t, "scope", STR("key"), str_from(k->value));
    else
        txn_secret_delete(t, "scope", STR("key"));
    return k->fail ? error_set(err, REASON_CONFLICT, "no") : 0;
}

static void keeper_done(void *arg, struct error *err)
{
    struct keeper *k = arg;

    assert_true(k->fail == (err != NULL));
    error_free(err);
    count_done(k->gate);
}

static void test_secrets_of_a_group(void **state)
{
    struct fixture f = {0};
    struct gate gate = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false, 7};
    struct keeper k[] = {{"1", false, &gate, NULL}, {"2", true, &gate, NULL},   {"3", false, &gate, NULL},
                         {NULL, true, &gate, NULL}, {NULL, false, &gate, NULL}, {"6", false, &gate, NULL}};
    static const char *const seen[] = {"key=0 ", "key=1 ", "key=1 ", "key=3 ", "key=3 ", ""};
    struct keeper first = {"0", false, &gate, NULL};

    fixture_open(&f);
    assert_int_equal(store_run(f.store, keep_secret, &first, NULL), 0);
    store_submit(f.store, wait_at_gate, &gate, gate_done);
    for (size_t i = 0; i < ARRAY_SIZE(k); i++)
        store_submit(f.store, keep_secret, &k[i], keeper_done);
    open_and_wait(&gate);
    for (size_t i = 0; i < ARRAY_SIZE(k); i++) {
        assert_string_equal(k[i].seen, seen[i]);
        free(k[i].seen);
    }
    fixture_reopen(&f);
    check_secret(f.store, "scope", STR("key"), STR("6"));
    free(first.seen);
    fixture_cleanup(&f);
}

static void test_binary_and_large(void **state)
{
    struct fixture f = {0};
    size_t n = 3 << 20;
    char *large = xmalloc(n + 1);

    memset(large, 'x', n);
    large[n] = '\0';
    fixture_open(&f);
    uint64_t revision = put(f.store, "c", "large", large);
    fixture_reopen(&f);
    expect(f.store, "c", "large", large, revision);
    free(large);
    fixture_cleanup(&f);
}

/* Large objects submitted at once are several transactions, and all of them are kept. */
struct large {
    struct change_args change;
    char name[16];
    struct gate *gate;
};

static int large_fn(struct store_txn *t, void *arg, struct error **err)
{
    struct large *l = arg;
    return put_fn(t, &l->change, err);
}

static void large_done(void *arg, struct error *err)
{
    struct large *l = arg;
    assert_null(err);
    count_done(l->gate);
}

static void test_many_large(void **state)
{
    struct fixture f = {.options.no_sync = true};
    struct gate gate = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false, 30};
    struct large l[30];
    size_t n = 1 << 20;
    char *text = xmalloc(n + 1);

    memset(text, 'x', n);
    text[n] = '\0';
    fixture_open(&f);
    for (int i = 0; i < 30; i++) {
        snprintf(l[i].name, sizeof(l[i].name), "n%d", i);
        l[i].change = (struct change_args){"c", l[i].name, text, 0};
        l[i].gate = &gate;
        store_submit(f.store, large_fn, &l[i], large_done);
    }
    open_and_wait(&gate);
    fixture_reopen(&f);
    assert_int_equal(store_count(f.store, "c"), 30);
    for (int i = 0; i < 30; i++)
        expect(f.store, "c", l[i].name, text, (uint64_t)i + 1);
    free(text);
    fixture_cleanup(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_put_get_delete),
        cmocka_unit_test(test_list_order),
        cmocka_unit_test(test_names_are_there_once),
        cmocka_unit_test(test_failure_takes_only_its_own),
        cmocka_unit_test(test_group),
        cmocka_unit_test(test_secrets_of_a_group),
        cmocka_unit_test(test_secrets),
        cmocka_unit_test(test_binary_and_large),
        cmocka_unit_test(test_many_large),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
