#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "server/auth/sessions.h"
#include "unit/auth/fixture.h"

#define S ((int64_t)1000000)

static struct sessions *sessions;
static int64_t start;

static int setup(void **state)
{
    struct world *w = world_new(false);
    sessions = sessions_new(w->store);
    start = clock_realtime_us();
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    sessions_free(sessions);
    world_free(*state);
    return 0;
}

static int put(struct store_txn *t, void *arg, struct error **err)
{
    sessions_put(sessions, t, arg);
    return 0;
}

static char *add(struct world *w, const char *uid, int64_t now, unsigned seconds, char **token)
{
    const struct session_options options = {.user_uid = uid, .user_name = "u", .now_us = now, .seconds = seconds};
    _cleanup_free_ char *key = NULL, *unused = NULL;
    _cleanup_session_ struct session *s = session_new(&options, token ? token : &unused, &key);
    assert_int_equal(store_run(w->store, put, s, NULL), 0);
    return xstrdup(s->id);
}

static bool valid(struct sessions *s, const char *id, int64_t now)
{
    _cleanup_session_ struct session *found = sessions_by_id(s, id, now);
    return found != NULL;
}

static bool count(void *arg, struct str key, struct str value)
{
    ++*(size_t *)arg;
    return true;
}

static size_t stored(struct world *w)
{
    size_t n = 0;
    store_secret_list(w->store, SECRET_SESSION, count, &n);
    return n;
}

static void test_a_session_ends_by_itself(void **state)
{
    _cleanup_free_ char *token = NULL, *id = add(*state, "u1", start, 100, &token);
    _cleanup_session_ struct session *by_token = sessions_by_token(sessions, str_from(token), start + 99 * S);
    assert_non_null(by_token);
    assert_string_equal(by_token->id, id);
    assert_true(valid(sessions, id, start + 99 * S));
    assert_false(valid(sessions, id, start + 100 * S));
    assert_null(sessions_by_token(sessions, str_from(token), start + 100 * S));
    assert_null(sessions_by_token(sessions, STR(""), start));
}

static void test_expired_ones_are_swept(void **state)
{
    _cleanup_free_ char *old = add(*state, "u1", start, 100, NULL),
                        *new = add(*state, "u2", start + 200 * S, 100, NULL);
    assert_int_equal(stored(*state), 1);
    assert_false(valid(sessions, old, start));
    assert_true(valid(sessions, new, start + 200 * S));
}

static void test_a_user_has_not_too_many(void **state)
{
    char *ids[70];
    _cleanup_free_ char *other = add(*state, "u2", start - S, 1000, NULL);
    for (int i = 0; i < 70; i++)
        ids[i] = add(*state, "u1", start + i, 1000, NULL);
    assert_int_equal(stored(*state), 65);
    assert_true(valid(sessions, other, start));
    for (int i = 0; i < 70; i++) {
        assert_int_equal(valid(sessions, ids[i], start + S), i >= 6);
        free(ids[i]);
    }
}

struct end {
    const char *uid, *spared;
    bool fail;
};

static int end(struct store_txn *t, void *arg, struct error **err)
{
    const struct end *e = arg;
    auth_end_sessions(t, e->uid, e->spared);
    return e->fail ? error_set(err, REASON_CONFLICT, "no") : 0;
}

static void test_all_of_a_user_end(void **state)
{
    struct world *w = *state;
    char *ids[60];
    for (int i = 0; i < 60; i++)
        ids[i] = add(w, "u1", start, 1000, NULL);
    _cleanup_free_ char *other = add(w, "u11", start, 1000, NULL);
    struct sessions *second = sessions_new(w->store); /* another table of the same process */

    struct end e = {"u1", ids[7], true};
    assert_int_equal(store_run(w->store, end, &e, NULL), -1);
    assert_true(valid(sessions, ids[0], start)); /* what was not committed changes nothing */
    e.fail = false;
    assert_int_equal(store_run(w->store, end, &e, NULL), 0);
    for (int i = 0; i < 60; i++) {
        assert_int_equal(valid(sessions, ids[i], start), i == 7);
        assert_int_equal(valid(second, ids[i], start), i == 7);
    }
    assert_true(valid(sessions, other, start));
    e.spared = NULL;
    assert_int_equal(store_run(w->store, end, &e, NULL), 0);
    assert_false(valid(sessions, ids[7], start));
    assert_int_equal(stored(w), 1);
    for (int i = 0; i < 60; i++)
        free(ids[i]);
    sessions_free(second);
}

/* The session that changed the well-known password is told of it no more, nor after a restart. */
static void test_the_spared_one_is_clean(void **state)
{
    struct world *w = *state;
    const struct session_options options = {
        .user_uid = "u1", .user_name = "u", .well_known_password = true, .now_us = start, .seconds = 100};
    _cleanup_free_ char *token = NULL, *key = NULL;
    _cleanup_session_ struct session *s = session_new(&options, &token, &key);
    assert_int_equal(store_run(w->store, put, s, NULL), 0);
    struct end e = {"u1", s->id, false};
    assert_int_equal(store_run(w->store, end, &e, NULL), 0);
    struct sessions *again = sessions_new(w->store), *tables[] = {sessions, again};
    for (size_t i = 0; i < 2; i++) {
        _cleanup_session_ struct session *now = sessions_by_token(tables[i], str_from(token), start);
        assert_non_null(now);
        assert_false(now->well_known_password);
        assert_true(session_key_fits(now, key));
    }
    sessions_free(again);
}

/* More than one page of them, as an older program may have left. */
static int put_many(struct store_txn *t, void *arg, struct error **err)
{
    for (int i = 0; i < 300; i++) {
        const struct session_options options = {.user_uid = "u1", .user_name = "u", .now_us = start, .seconds = 10};
        _cleanup_free_ char *token = NULL, *key = NULL;
        _cleanup_session_ struct session *s = session_new(&options, &token, &key);
        sessions_put(sessions, t, s);
    }
    auth_end_sessions(t, "u1", NULL);
    return 0;
}

static void test_very_many_end_in_the_transaction_that_made_them(void **state)
{
    struct world *w = *state;
    assert_int_equal(store_run(w->store, put_many, NULL, NULL), 0);
    assert_int_equal(stored(w), 0);
}

static int put_damaged(struct store_txn *t, void *arg, struct error **err)
{
    static const char *const keys[] = {"u1/a", "u1", "/a", "u1/", "u1/b"};
    static const char *const values[] = {"", "{}", "{\"user\":\"u\",\"token\":\"00\"}", "[]", "{\"user\":1}"};
    for (size_t i = 0; i < 5; i++)
        txn_secret_put(t, SECRET_SESSION, str_from(keys[i]), str_from(values[i]));
    return 0;
}

static void test_damaged_records_are_nobody(void **state)
{
    struct world *w = *state;
    _cleanup_free_ char *good = add(w, "u1", start, 100, NULL);
    assert_int_equal(store_run(w->store, put_damaged, NULL, NULL), 0);
    struct sessions *again = sessions_new(w->store);
    assert_true(valid(again, good, start));
    assert_false(valid(again, "a", start));
    assert_false(valid(again, "b", start));
    sessions_free(again);
}

static void test_records_say_all(void **state)
{
    struct world *w = *state;
    const struct session_options options = {.id = "the-id",
                                            .user_uid = "u1",
                                            .user_name = "a\"b",
                                            .well_known_password = true,
                                            .now_us = start,
                                            .seconds = 100};
    _cleanup_free_ char *token = NULL, *key = NULL;
    _cleanup_session_ struct session *s = session_new(&options, &token, &key);
    assert_int_equal(store_run(w->store, put, s, NULL), 0);
    struct sessions *again = sessions_new(w->store);
    _cleanup_session_ struct session *read = sessions_by_token(again, str_from(token), start);
    assert_string_equal(read->id, "the-id");
    assert_string_equal(read->user_uid, "u1");
    assert_string_equal(read->user_name, "a\"b");
    assert_true(read->well_known_password);
    assert_int_equal(read->expires_us, start + 100 * S);
    assert_true(session_key_fits(read, key));
    assert_false(session_key_fits(read, token));
    assert_false(session_key_fits(read, NULL));
    sessions_free(again);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_a_session_ends_by_itself),   T(test_expired_ones_are_swept),
        T(test_a_user_has_not_too_many),    T(test_all_of_a_user_end),
        T(test_the_spared_one_is_clean),    T(test_very_many_end_in_the_transaction_that_made_them),
        T(test_damaged_records_are_nobody), T(test_records_say_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
