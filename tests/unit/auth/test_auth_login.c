#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "server/accounts/attempt.h"
#include "unit/auth/fixture.h"

#define NOBODY "system:anonymous 0 -"
#define ENDED "401 Unauthorized"

static int setup(void **state)
{
    struct world *w = world_new(false);
    put_user(w, "teacher", "uid-t", ROLE_ADMIN, w->hash);
    put_user(w, "student", "uid-s", ROLE_USER, w->hash);
    put_user(w, "silent", "uid-n", ROLE_USER, NULL);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    world_free(*state);
    return 0;
}

static struct reply log_in(struct world *w, const char *body)
{
    return ask(w, "POST", "/auth/login", NULL, body);
}

static bool flag(const struct reply *r, const char *name)
{
    yyjson_val *v = yyjson_obj_get(yyjson_doc_get_root(r->json), name);
    if (!yyjson_is_bool(v))
        fail_msg("no %s in %s", name, r->text);
    return yyjson_get_bool(v);
}

static void test_session_without_one(void **state)
{
    _cleanup_reply_ struct reply r = ask(*state, "GET", "/auth/session", NULL, NULL);
    _cleanup_free_ char *cache = header_of(&r, "Cache-Control");
    assert_int_equal(r.status, 200);
    assert_false(flag(&r, "authenticated"));
    assert_false(flag(&r, "setupRequired"));
    assert_false(flag(&r, "authDisabled"));
    assert_null(string_of(&r, "username"));
    assert_string_equal(cache, "no-store");
}

static void test_login_makes_a_session(void **state)
{
    _cleanup_reply_ struct reply r = log_in(*state, "{\"username\":\"student\",\"password\":\"" PASSWORD "\"}");
    _cleanup_free_ char *cookie = header_of(&r, "Set-Cookie");
    assert_int_equal(r.status, 200);
    assert_true(flag(&r, "authenticated"));
    assert_string_equal(string_of(&r, "username"), "student");
    assert_string_equal(string_of(&r, "chineseName"), "王 student");
    assert_int_equal(json_int_at(yyjson_doc_get_root(r.json), "role", 0), 2);
    assert_false(flag(&r, "wellKnownPassword"));
    assert_non_null(string_of(&r, "expirationTimestamp"));
    assert_null(string_of(&r, "token")); /* a script could read it, and so could one that was smuggled in */
    assert_true(starts_with(cookie, "__Host-Http-open-hydra="));
    assert_true(ends_with(cookie, "; Path=/; Max-Age=36000; HttpOnly; SameSite=Strict; Secure"));

    _cleanup_free_ char *headers = headers_of_session(&r);
    assert_is(*state, headers, "student 2 uid-s");
    _cleanup_reply_ struct reply again = ask(*state, "GET", "/auth/session", headers, NULL);
    assert_string_equal(string_of(&again, "username"), "student");
    assert_null(string_of(&again, "key"));
}

static void test_cookie_and_key_must_both_fit(void **state)
{
    _cleanup_free_ char *one = browser(*state, "student", PASSWORD), *two = browser(*state, "teacher", PASSWORD);
    _cleanup_free_ char *cookie_one = xstrndup(one, strcspn(one, "\r") + 2),
                        *key_one = xstrdup(one + strlen(cookie_one));
    _cleanup_free_ char *key_two = xstrdup(strstr(two, "\r\n") + 2);
    _cleanup_free_ char *mixed = xasprintf("%s%s", cookie_one, key_two);

    assert_is(*state, cookie_one, NOBODY);
    assert_is(*state, key_one, ENDED);
    assert_is(*state, mixed, ENDED);
    assert_is(*state, one, "student 2 uid-s");
    /* /auth/session says it without an error. */
    _cleanup_reply_ struct reply r = ask(*state, "GET", "/auth/session", mixed, NULL);
    assert_int_equal(r.status, 200);
    assert_false(flag(&r, "authenticated"));
}

/* A page of an environment has added cookies with our name, which are sent first. */
static void test_a_planted_cookie_replaces_nobody(void **state)
{
    _cleanup_free_ char *mine = browser(*state, "student", PASSWORD), *evil = browser(*state, "teacher", PASSWORD);
    _cleanup_free_ char *evil_cookie = xstrndup(evil, strcspn(evil, "\r"));
    _cleanup_free_ char *both =
        xasprintf("%s; __Host-Http-open-hydra=x; %s", evil_cookie, mine + strlen(HTTP_COOKIES ": "));
    assert_is(*state, both, "student 2 uid-s");
}

static void test_wrong_logins_are_alike(void **state)
{
    _cleanup_reply_ struct reply wrong = log_in(*state, "{\"username\":\"student\",\"password\":\"x\"}"),
                                 unknown = log_in(*state, "{\"username\":\"nobody\",\"password\":\"x\"}"),
                                 silent = log_in(*state, "{\"username\":\"silent\",\"password\":\"\"}");
    assert_int_equal(wrong.status, 401);
    assert_string_equal(string_of(&wrong, "reason"), "Unauthorized");
    assert_string_equal(wrong.body, unknown.body);
    assert_string_equal(wrong.body, silent.body);
    _cleanup_free_ char *cookie = header_of(&wrong, "Set-Cookie");
    assert_null(cookie);
}

static void test_guessing_is_slowed_down(void **state)
{
    for (int i = 0; i < 6; i++) {
        _cleanup_reply_ struct reply r = log_in(*state, "{\"username\":\"student\",\"password\":\"x\"}");
        assert_int_equal(r.status, 401);
    }
    fail_later(*state, "student");
    _cleanup_reply_ struct reply r = log_in(*state, "{\"username\":\"student\",\"password\":\"x\"}");
    _cleanup_free_ char *wait = header_of(&r, "Retry-After");
    assert_int_equal(r.status, 429);
    assert_string_equal(string_of(&r, "reason"), "TooManyRequests");
    assert_non_null(wait);
    assert_true(json_int_at(yyjson_doc_get_root(r.json), "details.retryAfterSeconds", 0) >= 1);
    /* Others are not concerned. */
    free(browser(*state, "teacher", PASSWORD));
}

/* The second Set-Cookie: what tells this browser from strangers' later. As a header. */
static char *familiar_of(const struct reply *r)
{
    const char *at = strstr(r->text, "__Host-Http-open-hydra-familiar=");

    assert_non_null(at);
    return xasprintf(HTTP_COOKIES ": %.*s\r\n", (int)strcspn(at, ";"), at);
}

static unsigned log_in_with(struct world *w, const char *headers, const char *user, const char *password)
{
    _cleanup_free_ char *body = xasprintf("{\"username\":\"%s\",\"password\":\"%s\"}", user, password);
    _cleanup_reply_ struct reply r = ask(w, "POST", "/auth/login", headers, body);
    return r.status;
}

static void test_strangers_do_not_lock_a_familiar_browser_out(void **state)
{
    struct world *w = *state;
    _cleanup_reply_ struct reply first = log_in(w, "{\"username\":\"student\",\"password\":\"" PASSWORD "\"}");
    _cleanup_free_ char *mark = familiar_of(&first), *session = headers_of_session(&first),
                        *hash = password_hash("reset by hand");
    _cleanup_reply_ struct reply out = ask(w, "POST", "/auth/logout", session, NULL);
    assert_null(strstr(out.text, "familiar")); /* it outlives the session */

    for (int i = 0; i < 6; i++)
        assert_int_equal(log_in_with(w, NULL, "student", "wrong"), 401);
    fail_later(w, "student");
    assert_int_equal(log_in_with(w, NULL, "student", PASSWORD), 429);
    assert_int_equal(log_in_with(w, mark, "student", "wrong"), 401);
    assert_int_equal(log_in_with(w, mark, "student", PASSWORD), 200);
    /* A success of the same address starts the count anew; and the mark is nobody else's. */
    for (int i = 0; i < 6; i++)
        assert_int_equal(log_in_with(w, mark, "teacher", "wrong"), 401);
    fail_later(w, "teacher");
    assert_int_equal(log_in_with(w, mark, "teacher", PASSWORD), 429);
    /* Another password: the browser is a stranger's, until it logs in. */
    for (int i = 0; i < 6; i++)
        assert_int_equal(log_in_with(w, NULL, "student", "wrong"), 401);
    assert_int_equal(log_in_with(w, mark, "student", PASSWORD), 200);
    put_user(w, "student", "uid-s", ROLE_USER, hash);
    for (int i = 0; i < 6; i++)
        assert_int_equal(log_in_with(w, NULL, "student", "wrong"), 401);
    fail_later(w, "student");
    assert_int_equal(log_in_with(w, mark, "student", "reset by hand"), 429);
}

static void test_who_changes_a_password_stays_familiar(void **state)
{
    struct world *w = *state;
    _cleanup_free_ char *mine = browser(w, "student", PASSWORD);
    _cleanup_reply_ struct reply r = ask(w, "POST", "/auth/password", mine,
                                         "{\"currentPassword\":\"" PASSWORD "\",\"newPassword\":\"battery staple\"}");
    _cleanup_free_ char *mark = familiar_of(&r);
    for (int i = 0; i < 6; i++)
        assert_int_equal(log_in_with(w, NULL, "student", "wrong"), 401);
    fail_later(w, "student");
    assert_int_equal(log_in_with(w, NULL, "student", "battery staple"), 429);
    assert_int_equal(log_in_with(w, mark, "student", "battery staple"), 200);
}

/* Who is logged in is not held up by strangers, and may not guess for ever. */
static void test_a_session_counts_its_own_guesses(void **state)
{
    struct world *w = *state;
    static const char good[] = "{\"currentPassword\":\"" PASSWORD "\",\"newPassword\":\"battery staple\"}",
                      bad[] = "{\"currentPassword\":\"wrong\",\"newPassword\":\"battery staple\"}";
    _cleanup_free_ char *mine = browser(w, "student", PASSWORD);
    for (int i = 0; i < 6; i++)
        assert_int_equal(log_in_with(w, NULL, "student", "wrong"), 401);
    for (int i = 0; i < 11; i++) {
        _cleanup_reply_ struct reply r = ask(w, "POST", "/auth/password", mine, bad);
        assert_int_equal(r.status, 401);
    }
    unsigned status = 401; /* some as a stranger, whose wait is over by now */
    for (int i = 0; i < 20 && status == 401; i++) {
        _cleanup_reply_ struct reply r = ask(w, "POST", "/auth/password", mine, bad);
        status = r.status;
    }
    assert_int_equal(status, 429);
    _cleanup_free_ char *other = browser(w, "teacher", PASSWORD);
    for (int i = 0; i < 6; i++)
        assert_int_equal(log_in_with(w, NULL, "teacher", "wrong"), 401);
    _cleanup_reply_ struct reply r = ask(w, "POST", "/auth/password", other, good);
    assert_int_equal(r.status, 200);
}

static void test_names_as_they_are_typed(void **state)
{
    struct world *w = *state;
    static const char *const good[] = {"Student", " student\\n", "ｓｔｕｄｅｎｔ", "\u3000ＳＴＵＤＥＮＴ "};
    for (size_t i = 0; i < ARRAY_SIZE(good); i++)
        assert_int_equal(log_in_with(w, NULL, good[i], PASSWORD), 200);
    assert_int_equal(log_in_with(w, NULL, "student", PASSWORD "\\r\\n"), 200);
    assert_int_equal(log_in_with(w, NULL, "student", PASSWORD " "), 401);
    assert_int_equal(log_in_with(w, NULL, "student2", PASSWORD), 401);
    /* One account, however it is written. */
    static const char *const spellings[] = {"TEACHER", "teacher", " teacher", "Teacher", "teacheR", "ｔeacher"};
    for (size_t i = 0; i < ARRAY_SIZE(spellings); i++)
        assert_int_equal(log_in_with(w, NULL, spellings[i], "wrong"), 401);
    fail_later(w, "teacher");
    assert_int_equal(log_in_with(w, NULL, "teacheR", "wrong"), 429);
}

/* Guesses from everywhere: the right password is looked at, if later. */
static void besiege(struct world *w, const char *account)
{
    for (int i = 0; i < 60; i++) {
        _cleanup_free_ char *address = xasprintf("198.51.100.%d", i);
        const struct throttle_attempt a = {account, address, NULL};
        (void)throttle_begin(w->accounts->throttle, &a, clock_monotonic_us());
    }
}

static void test_an_account_under_siege_is_slow_and_open(void **state)
{
    struct world *w = *state;
    besiege(w, "student");
    int64_t begun = clock_monotonic_us();
    assert_int_equal(log_in_with(w, NULL, "student", PASSWORD), 200);
    assert_true(clock_monotonic_us() - begun >= 4000000);
}

/* Many wrong ones, each after its wait. */
static void test_it_is_said_how_long_to_wait(void **state)
{
    struct world *w = *state;
    const struct throttle_attempt a = {"student", "192.0.2.1", NULL};
    int64_t now = clock_monotonic_us();
    for (int i = 0; i < 17; i++) {
        struct throttle_verdict v = throttle_begin(w->accounts->throttle, &a, now);
        now += v.refused ? v.refused * 1000000 : 0;
    }
    _cleanup_reply_ struct reply r = log_in(w, "{\"username\":\"student\",\"password\":\"x\"}");
    _cleanup_free_ char *wait = header_of(&r, "Retry-After");
    assert_int_equal(r.status, 429);
    assert_true(atoi(wait) > 5);
    assert_int_equal(json_int_at(yyjson_doc_get_root(r.json), "details.retryAfterSeconds", 0), atoi(wait));
}

/* What is to be looked at waits there, until each piece of it has its permit. */
static sem_t gate;
#define PERMITS 64

static int setup_with_gate(void **state)
{
    assert_int_equal(sem_init(&gate, 0, 0), 0);
    return setup(state);
}

/* A test that fails leaves work behind, which has to end before the workers can. */
static int teardown_with_gate(void **state)
{
    for (int i = 0; i < PERMITS; i++)
        sem_post(&gate);
    int rc = teardown(state);
    sem_destroy(&gate);
    return rc;
}

static void wait_at_the_gate(void *arg)
{
    while (sem_wait(&gate) < 0)
        continue;
}

static unsigned attempt_of(struct world *w, const char *address, int account)
{
    struct attempt t = {xasprintf("u%d", account), xstrdup(address), NULL};
    unsigned refused = attempt_start(w->accounts, &t, wait_at_the_gate, wait_at_the_gate, NULL);

    attempt_clear(&t);
    return refused;
}

/* Whose turn it is goes by address, as names are anybody's. */
static void test_an_address_has_its_part_of_the_workers(void **state)
{
    for (int i = 0; i < 32; i++)
        assert_int_equal(attempt_of(*state, "192.0.2.1", i), 0);
    assert_int_equal(attempt_of(*state, "192.0.2.1", 32), 1);
    assert_int_equal(attempt_of(*state, "192.0.2.2", 0), 0);
}

/* Nothing passes the gate before the end: what is counted does not depend on who is how fast. */
static void test_an_ipv6_network_has_the_part_of_one(void **state)
{
    for (int i = 0; i < 32; i++) {
        _cleanup_free_ char *address = xasprintf("2001:db8::%x", i + 1);
        assert_int_equal(attempt_of(*state, address, i), 0);
    }
    assert_int_equal(attempt_of(*state, "2001:db8::ffff:1", 32), 1);
    assert_int_equal(attempt_of(*state, "2001:db8:0:1::1", 33), 0);
}

static void *log_in_once(void *arg)
{
    struct world *w = arg;
    return (void *)(uintptr_t)log_in_with(w, NULL, "student", PASSWORD);
}

static void test_what_waits_is_answered_at_the_end(void **state)
{
    struct world *w = *state;
    pthread_t thread;
    void *status;
    besiege(w, "student");
    pthread_create(&thread, NULL, log_in_once, w);
    usleep(500000);
    world_restart(w);
    pthread_join(thread, &status);
    assert_true((uintptr_t)status == 503 || (uintptr_t)status == 200);
}

static void test_bad_bodies(void **state)
{
    static const struct {
        const char *body;
        unsigned status;
    } cases[] = {
        {"", 400},
        {"[]", 400},
        {"{", 400},
        {"{}", 422},
        {"{\"username\":\"student\"}", 422},
        {"{\"username\":1,\"password\":\"x\"}", 422},
        {"{\"username\":\"a\\u0000b\",\"password\":\"x\"}", 422},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_reply_ struct reply r = log_in(*state, cases[i].body);
        if (r.status != cases[i].status)
            fail_msg("%s: %s", cases[i].body, r.text);
    }
}

static void test_a_script_gets_a_bearer_token(void **state)
{
    _cleanup_reply_ struct reply r =
        log_in(*state, "{\"username\":\"student\",\"password\":\"" PASSWORD "\",\"bearer\":true}");
    _cleanup_free_ char *cookie = header_of(&r, "Set-Cookie");
    const char *token = string_of(&r, "token");
    assert_int_equal(r.status, 200);
    assert_null(cookie);
    assert_null(string_of(&r, "key"));
    assert_non_null(token);
    _cleanup_free_ char *bearer = xasprintf("Authorization: Bearer %s\r\n", token);
    assert_is(*state, bearer, "student 2 uid-s");
    _cleanup_reply_ struct reply on_api = ask_api(*state, "GET", "/whoami", bearer, NULL);
    assert_string_equal(on_api.body, "student 2 uid-s");

    /* Each of the two kinds of session is good for its own way only. */
    _cleanup_free_ char *as_cookie =
        xasprintf(HTTP_COOKIES ": __Host-Http-open-hydra=%s\r\nX-Open-Hydra-Session-Key: %s\r\n", token, token);
    assert_is(*state, as_cookie, ENDED);
    _cleanup_free_ char *mine = browser(*state, "student", PASSWORD);
    const char *value = strchr(mine, '=') + 1;
    _cleanup_free_ char *as_bearer = xasprintf("Authorization: Bearer %.*s\r\n", (int)strcspn(value, "\r"), value);
    assert_is(*state, as_bearer, ENDED);
    assert_is(*state, "Authorization: Bearer nonsense\r\n", ENDED);
    assert_is(*state, "Authorization: Basic dTpw\r\n", NOBODY);
}

static void test_logout_ends_one_session(void **state)
{
    _cleanup_free_ char *one = browser(*state, "student", PASSWORD), *two = browser(*state, "student", PASSWORD);
    _cleanup_reply_ struct reply r = ask(*state, "POST", "/auth/logout", one, NULL);
    _cleanup_free_ char *cookie = header_of(&r, "Set-Cookie");
    assert_int_equal(r.status, 204);
    assert_true(starts_with(cookie, "__Host-Http-open-hydra=; "));
    assert_is(*state, one, ENDED);
    assert_is(*state, two, "student 2 uid-s");
    _cleanup_reply_ struct reply again = ask(*state, "POST", "/auth/logout", one, NULL);
    assert_int_equal(again.status, 204);
}

static void test_sessions_live_through_a_restart(void **state)
{
    _cleanup_free_ char *one = browser(*state, "student", PASSWORD), *two = browser(*state, "student", PASSWORD);
    _cleanup_reply_ struct reply r = ask(*state, "POST", "/auth/logout", one, NULL);
    assert_int_equal(r.status, 204);
    world_restart(*state);
    assert_is(*state, one, ENDED);
    assert_is(*state, two, "student 2 uid-s");
}

static void test_a_deleted_user_is_out(void **state)
{
    struct world *w = *state;
    _cleanup_free_ char *mine = browser(w, "student", PASSWORD), *other = browser(w, "teacher", PASSWORD);
    delete_user(w, "student", "uid-s");
    assert_is(w, mine, ENDED);
    put_user(w, "student", "uid-again", ROLE_ADMIN, w->hash);
    assert_is(w, mine, ENDED);
    assert_is(w, other, "teacher 1 uid-t");
}

static void test_a_new_role_counts_at_once(void **state)
{
    struct world *w = *state;
    _cleanup_free_ char *mine = browser(w, "teacher", PASSWORD);
    put_user(w, "teacher", "uid-t", ROLE_USER, NULL);
    assert_is(w, mine, "teacher 2 uid-t");
    put_user(w, "teacher", "uid-t", ROLE_RUNNER, NULL); /* a stored number is never one of the server's own roles */
    assert_is(w, mine, "teacher 0 uid-t");
}

static char *session_id(struct world *w, const char *headers)
{
    _cleanup_reply_ struct reply r = ask(w, "GET", "/whoami", headers, NULL);
    return header_of(&r, "Session");
}

static int64_t end_of(struct world *w, const char *id)
{
    _cleanup_session_ struct session *s = sessions_by_id(w->accounts->sessions, id, 0);
    return s->expires_us;
}

/* What a page does that is only open is no use; a request is, and so is work in an environment. */
static void test_use_extends_a_session(void **state)
{
    struct world *w = *state;
    w->config.session_seconds = 10;
    w->config.session_max_seconds = 100;
    _cleanup_free_ char *mine = browser(w, "student", PASSWORD), *id = session_id(w, mine);
    int64_t first = end_of(w, id);
    usleep(1100000); /* more than a tenth of it */
    _cleanup_reply_ struct reply watch = ask(w, "GET", "/whoami?watch=true", mine, NULL);
    assert_int_equal(watch.status, 200);
    assert_true(accounts_session_valid(w->accounts, id, false));
    assert_int_equal(end_of(w, id), first);
    assert_true(accounts_session_valid(w->accounts, id, true));
    int64_t second = end_of(w, id);
    assert_true(second >= first + 1000000);
    usleep(1100000);
    assert_is(w, mine, "student 2 uid-s");
    assert_true(end_of(w, id) >= second + 1000000);
}

static void test_password_change(void **state)
{
    struct world *w = *state;
    _cleanup_free_ char *mine = browser(w, "student", PASSWORD), *elsewhere = browser(w, "student", PASSWORD);
    _cleanup_free_ char *id = session_id(w, mine), *other_id = session_id(w, elsewhere);
    assert_true(accounts_session_valid(w->accounts, id, false) && accounts_session_valid(w->accounts, other_id, false));

    _cleanup_reply_ struct reply r = ask(w, "POST", "/auth/password", mine,
                                         "{\"currentPassword\":\"" PASSWORD "\",\"newPassword\":\"battery staple\"}");
    assert_int_equal(r.status, 200);
    _cleanup_free_ char *renewed = headers_of_session(&r);
    assert_is(w, mine, ENDED);
    assert_is(w, elsewhere, ENDED);
    assert_is(w, renewed, "student 2 uid-s");
    /* What hangs on the session (an open environment) goes on. */
    _cleanup_free_ char *same = session_id(w, renewed);
    assert_string_equal(same, id);
    assert_true(accounts_session_valid(w->accounts, id, false));
    assert_false(accounts_session_valid(w->accounts, other_id, false));

    _cleanup_reply_ struct reply old = log_in(w, "{\"username\":\"student\",\"password\":\"" PASSWORD "\"}");
    assert_int_equal(old.status, 401);
    free(browser(w, "student", "battery staple"));
    world_restart(w);
    assert_is(w, renewed, "student 2 uid-s");
    assert_is(w, mine, ENDED);
}

static void test_refused_password_changes(void **state)
{
    struct world *w = *state;
    static const struct {
        const char *body;
        unsigned status;
    } cases[] = {
        {"{\"currentPassword\":\"wrong one\",\"newPassword\":\"battery staple\"}", 401},
        {"{\"currentPassword\":\"" PASSWORD "\",\"newPassword\":\"short\"}", 422},
        {"{\"currentPassword\":\"" PASSWORD "\",\"newPassword\":\"" PASSWORD "\"}", 422},
        {"{\"currentPassword\":\"" PASSWORD "\",\"newPassword\":\"openhydra\"}", 422},
        {"{\"newPassword\":\"battery staple\"}", 422},
    };
    _cleanup_free_ char *mine = browser(w, "student", PASSWORD);
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_reply_ struct reply r = ask(w, "POST", "/auth/password", mine, cases[i].body);
        if (r.status != cases[i].status)
            fail_msg("%s: %s", cases[i].body, r.text);
    }
    _cleanup_reply_ struct reply nobody = ask(w, "POST", "/auth/password", NULL, cases[0].body);
    assert_int_equal(nobody.status, 401);
    assert_is(w, mine, "student 2 uid-s");
    free(browser(w, "student", PASSWORD));
}

static void test_a_script_changes_a_password(void **state)
{
    struct world *w = *state;
    static const char body[] = "{\"currentPassword\":\"" PASSWORD "\",\"newPassword\":\"battery staple\"}";
    _cleanup_reply_ struct reply login =
        log_in(w, "{\"username\":\"student\",\"password\":\"" PASSWORD "\",\"bearer\":true}");
    _cleanup_free_ char *bearer = xasprintf("Authorization: Bearer %s\r\n", string_of(&login, "token"));
    _cleanup_reply_ struct reply r = ask(w, "POST", "/auth/password", bearer, body);
    assert_int_equal(r.status, 200);
    _cleanup_free_ char *renewed = xasprintf("Authorization: Bearer %s\r\n", string_of(&r, "token"));
    assert_is(w, bearer, ENDED);
    assert_is(w, renewed, "student 2 uid-s");
}

static void test_well_known_password(void **state)
{
    struct world *w = *state;
    _cleanup_free_ char *hash = password_hash("openhydra");
    put_user(w, "admin", "uid-a", ROLE_ADMIN, hash);
    _cleanup_reply_ struct reply r = log_in(w, "{\"username\":\"admin\",\"password\":\"openhydra\"}");
    assert_true(flag(&r, "wellKnownPassword"));
    _cleanup_free_ char *mine = headers_of_session(&r);
    _cleanup_reply_ struct reply later = ask(w, "GET", "/auth/session", mine, NULL);
    assert_true(flag(&later, "wellKnownPassword"));
    _cleanup_reply_ struct reply changed = ask(
        w, "POST", "/auth/password", mine, "{\"currentPassword\":\"openhydra\",\"newPassword\":\"battery staple\"}");
    assert_false(flag(&changed, "wellKnownPassword"));
}

static void test_pages_of_others_are_refused(void **state)
{
    static const char body[] = "{\"username\":\"student\",\"password\":\"" PASSWORD "\"}";
    static const char *const refused[] = {
        "Origin: http://127.0.0.1:31000\r\n",
        "Origin: null\r\n",
        "Host: evil.example:30001\r\n",
        "Sec-Fetch-Site: same-site\r\n",
        "Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\n",
    };
    for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
        _cleanup_reply_ struct reply r = ask(*state, "POST", "/auth/login", refused[i], body);
        assert_int_equal(r.status, 403);
        assert_null(strstr(r.text, "Set-Cookie"));
    }
    _cleanup_reply_ struct reply own =
        ask(*state, "POST", "/auth/login", "Origin: http://127.0.0.1:30001\r\nSec-Fetch-Site: same-origin\r\n", body);
    assert_int_equal(own.status, 200);
}

static void test_paths_and_methods(void **state)
{
    struct world *w = *state;
    _cleanup_reply_ struct reply method = ask(w, "GET", "/auth/login", NULL, NULL),
                                 unknown = ask(w, "GET", "/auth/nothing", NULL, NULL),
                                 head = ask(w, "HEAD", "/auth/session", NULL, NULL),
                                 runner = ask_on(&w->runner, "GET", "/auth/session", "Host: x\r\n", NULL);
    _cleanup_free_ char *allow = header_of(&method, "Allow");
    assert_int_equal(method.status, 405);
    assert_string_equal(allow, "POST");
    assert_int_equal(unknown.status, 404);
    assert_int_equal(head.status, 200);
    assert_int_equal(runner.status, 404);
    assert_true(auth_owns(STR("/auth/x")) && auth_owns(STR("/auth")) && auth_owns(STR("/auth/")));
    assert_false(auth_owns(STR("/authx")) || auth_owns(STR("/")) || auth_owns(STR("")));
}

static bool look_for_secrets(void *arg, struct str key, struct str value)
{
    const char *const *secrets = arg;
    for (size_t i = 0; i < 2; i++)
        if (memmem(value.p, value.n, secrets[i], strlen(secrets[i])) ||
            memmem(key.p, key.n, secrets[i], strlen(secrets[i])))
            fail_msg("a secret is stored");
    return true;
}

static void test_the_store_holds_hashes_alone(void **state)
{
    struct world *w = *state;
    _cleanup_reply_ struct reply r = log_in(w, "{\"username\":\"student\",\"password\":\"" PASSWORD "\"}");
    _cleanup_free_ char *cookie = header_of(&r, "Set-Cookie");
    cookie[strcspn(cookie, ";")] = '\0';
    const char *secrets[] = {strchr(cookie, '=') + 1, string_of(&r, "key")};
    store_secret_list(w->store, "session", look_for_secrets, secrets);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_session_without_one),
        T(test_login_makes_a_session),
        T(test_cookie_and_key_must_both_fit),
        T(test_a_planted_cookie_replaces_nobody),
        T(test_wrong_logins_are_alike),
        T(test_guessing_is_slowed_down),
        T(test_strangers_do_not_lock_a_familiar_browser_out),
        T(test_who_changes_a_password_stays_familiar),
        T(test_a_session_counts_its_own_guesses),
        T(test_names_as_they_are_typed),
        T(test_an_account_under_siege_is_slow_and_open),
        T(test_what_waits_is_answered_at_the_end),
        T(test_bad_bodies),
        T(test_a_script_gets_a_bearer_token),
        T(test_logout_ends_one_session),
        T(test_sessions_live_through_a_restart),
        T(test_a_deleted_user_is_out),
        T(test_a_new_role_counts_at_once),
        T(test_use_extends_a_session),
        T(test_password_change),
        T(test_it_is_said_how_long_to_wait),
        cmocka_unit_test_setup_teardown(test_an_address_has_its_part_of_the_workers, setup_with_gate,
                                        teardown_with_gate),
        cmocka_unit_test_setup_teardown(test_an_ipv6_network_has_the_part_of_one, setup_with_gate, teardown_with_gate),
        T(test_refused_password_changes),
        T(test_a_script_changes_a_password),
        T(test_well_known_password),
        T(test_pages_of_others_are_refused),
        T(test_paths_and_methods),
        T(test_the_store_holds_hashes_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
