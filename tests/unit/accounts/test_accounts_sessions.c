#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "server/accounts/sessions.h"
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
    sessions_end(sessions, t, e->uid, e->spared);
    return e->fail ? error_set(err, REASON_CONFLICT, "no") : 0;
}

static void test_all_of_a_user_end(void **state)
{
    struct world *w = *state;
    char *ids[60];
    for (int i = 0; i < 60; i++)
        ids[i] = add(w, "u1", start, 1000, NULL);
    _cleanup_free_ char *other = add(w, "u11", start, 1000, NULL);

    struct end e = {"u1", ids[7], true};
    assert_int_equal(store_run(w->store, end, &e, NULL), -1);
    assert_true(valid(sessions, ids[0], start)); /* what was not committed changes nothing */
    e.fail = false;
    assert_int_equal(store_run(w->store, end, &e, NULL), 0);
    struct sessions *second = sessions_new(w->store); /* after a restart */
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

/* --- Use --- */

static const struct session_life life = {.seconds = 100, .longest = 350};

static int64_t end_of(struct sessions *table, const char *id)
{
    _cleanup_session_ struct session *s = sessions_by_id(table, id, start);
    return s ? (s->expires_us - start) / S : -1;
}

static void use(struct world *w, const char *id, int64_t now)
{
    _cleanup_session_ struct session *s = sessions_by_id(sessions, id, now);
    assert_non_null(s);
    sessions_use(w->store, s, &life, now);
}

static int nothing(struct store_txn *t, void *arg, struct error **err)
{
    return 0;
}

/* As a server that starts now would know it. */
static int64_t written_end_of(struct world *w, const char *id)
{
    assert_int_equal(store_run(w->store, nothing, NULL, NULL), 0);
    struct sessions *again = sessions_new(w->store);
    int64_t end = end_of(again, id);
    sessions_free(again);
    return end;
}

static void test_use_extends(void **state)
{
    struct world *w = *state;
    _cleanup_free_ char *id = add(w, "u1", start, 100, NULL);
    use(w, id, start + 10 * S - 1);
    assert_int_equal(end_of(sessions, id), 100); /* once in a tenth */
    use(w, id, start + 10 * S);
    assert_int_equal(end_of(sessions, id), 110);
    assert_int_equal(written_end_of(w, id), 110);
    use(w, id, start + 15 * S);
    assert_int_equal(end_of(sessions, id), 110);
    use(w, id, start + 105 * S);
    assert_int_equal(end_of(sessions, id), 205);
    use(w, id, start + 200 * S);
    assert_int_equal(end_of(sessions, id), 300);
    use(w, id, start + 299 * S);
    assert_int_equal(end_of(sessions, id), 350); /* and no further */
    use(w, id, start + 349 * S);
    assert_int_equal(end_of(sessions, id), 350);
    assert_int_equal(written_end_of(w, id), 350);
    assert_false(valid(sessions, id, start + 350 * S));
}

static void test_a_short_ceiling_shortens_nothing(void **state)
{
    struct world *w = *state;
    const struct session_life odd = {.seconds = 100, .longest = 50};
    _cleanup_free_ char *id = add(w, "u1", start, 100, NULL);
    _cleanup_session_ struct session *s = sessions_by_id(sessions, id, start);
    sessions_use(w->store, s, &odd, start + 60 * S);
    assert_int_equal(end_of(sessions, id), 100);
}

static int remove_one(struct store_txn *t, void *arg, struct error **err)
{
    sessions_remove(sessions, t, arg);
    return 0;
}

/* A request that came before the end, and is counted after it. */
static void test_use_brings_nothing_back(void **state)
{
    struct world *w = *state;
    _cleanup_free_ char *id = add(w, "u1", start, 100, NULL);
    _cleanup_session_ struct session *s = sessions_by_id(sessions, id, start);
    assert_int_equal(store_run(w->store, remove_one, s, NULL), 0);
    sessions_use(w->store, s, &life, start + 50 * S);
    assert_int_equal(written_end_of(w, id), -1);
    assert_int_equal(stored(w), 0);
}

/* … or before the password, and with it the secrets, changed. */
static void test_use_of_old_secrets_writes_nothing(void **state)
{
    struct world *w = *state;
    const struct session_options options = {
        .id = "x", .user_uid = "u1", .user_name = "u", .now_us = start, .seconds = 100};
    _cleanup_free_ char *token = NULL, *key = NULL, *new_token = NULL, *new_key = NULL;
    _cleanup_session_ struct session *old = session_new(&options, &token, &key),
                                     *new = session_new(&options, &new_token, &new_key);
    assert_int_equal(store_run(w->store, put, old, NULL), 0);
    assert_int_equal(store_run(w->store, put, new, NULL), 0);
    sessions_use(w->store, old, &life, start + 50 * S);
    assert_int_equal(written_end_of(w, "x"), 100);
    struct sessions *again = sessions_new(w->store);
    _cleanup_session_ struct session *by_old = sessions_by_token(again, str_from(token), start),
                                     *by_new = sessions_by_token(again, str_from(new_token), start);
    assert_null(by_old);
    assert_non_null(by_new);
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
    sessions_end(sessions, t, "u1", NULL);
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
        T(test_a_session_ends_by_itself),
        T(test_expired_ones_are_swept),
        T(test_a_user_has_not_too_many),
        T(test_all_of_a_user_end),
        T(test_use_extends),
        T(test_a_short_ceiling_shortens_nothing),
        T(test_use_brings_nothing_back),
        T(test_use_of_old_secrets_writes_nothing),
        T(test_the_spared_one_is_clean),
        T(test_very_many_end_in_the_transaction_that_made_them),
        T(test_damaged_records_are_nobody),
        T(test_records_say_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
