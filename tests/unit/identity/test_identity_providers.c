#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <sodium.h>
#include <unistd.h>

#include <stdatomic.h>

#include "base/alloc.h"
#include "base/encoding.h"
#include "base/io.h"
#include "unit/auth/fixture.h"

#define MASTERS "X-Client-Subject: CN=open-hydra-admin,O=system:masters\r\nX-Client-Serial: 0AB1\r\n"

static int setup_with(void **state, bool disable_auth)
{
    struct world *w = world_new(disable_auth);
    put_user(w, "teacher", "uid-t", ROLE_ADMIN, w->hash);
    put_user(w, "student", "uid-s", ROLE_USER, w->hash);
    *state = w;
    return 0;
}

static int setup(void **state)
{
    return setup_with(state, false);
}

static int setup_disabled(void **state)
{
    return setup_with(state, true);
}

static int teardown(void **state)
{
    world_free(*state);
    return 0;
}

static void assert_api(struct world *w, const char *method, const char *headers, const char *expected)
{
    _cleanup_reply_ struct reply r = ask_api(w, method, "/whoami", headers, NULL);
    _cleanup_free_ char *who =
        r.status == 200 ? xstrdup(r.body) : xasprintf("%u %s", r.status, string_of(&r, "reason"));
    assert_string_equal(who, expected);
}

static void test_the_runner_is_known_by_its_socket(void **state)
{
    struct world *w = *state;
    _cleanup_reply_ struct reply r = ask_on(&w->runner, "GET", "/x", "Host: y\r\nOrigin: null\r\n", NULL);
    assert_string_equal(r.body, "system:runner 100 -");
}

static void test_nobody(void **state)
{
    assert_is(*state, NULL, "system:anonymous 0 -");
    assert_api(*state, "POST", NULL, "system:anonymous 0 -");
}

static void test_certificates(void **state)
{
    struct world *w = *state;
    assert_api(w, "POST", "X-Client-Verify: SUCCESS\r\n" MASTERS, "open-hydra-admin 1 -");
    /* A page that `kubectl proxy` serves, and one of somebody else's in a browser that holds the certificate. */
    assert_api(w, "POST", "Origin: http://x\r\nX-Client-Verify: SUCCESS\r\n" MASTERS, "open-hydra-admin 1 -");
    assert_api(w, "POST", "Origin: http://x\r\nSec-Fetch-Site: same-origin\r\nX-Client-Verify: SUCCESS\r\n" MASTERS,
               "open-hydra-admin 1 -");
    assert_api(w, "POST", "Sec-Fetch-Site: cross-site\r\nX-Client-Verify: SUCCESS\r\n" MASTERS, "403 Forbidden");
    assert_api(w, "GET", "Sec-Fetch-Site: same-site\r\nX-Client-Verify: SUCCESS\r\n" MASTERS, "403 Forbidden");
    assert_api(w, "GET", "X-Client-Verify: NONE\r\n" MASTERS, "system:anonymous 0 -");
    assert_api(w, "GET", MASTERS, "system:anonymous 0 -");
    assert_api(w, "GET", "X-Client-Verify: FAILED:certificate has expired\r\n" MASTERS, "401 Unauthorized");
    assert_api(w, "GET", "X-Client-Verify: SUCCESS\r\nX-Client-Subject: O=system:masters\r\nX-Client-Serial: 1\r\n",
               "401 Unauthorized");
    assert_api(w, "GET", "X-Client-Verify: SUCCESS\r\nX-Client-Subject: CN=a,O=system:masters\r\n", "401 Unauthorized");
    /* A name of ours without the group is that user; any other is nobody with a name. */
    assert_api(w, "GET", "X-Client-Verify: SUCCESS\r\nX-Client-Subject: CN=student\r\nX-Client-Serial: 1\r\n",
               "student 2 uid-s");
    assert_api(w, "GET", "X-Client-Verify: SUCCESS\r\nX-Client-Subject: CN=stranger\r\nX-Client-Serial: 1\r\n",
               "stranger 0 -");
    /* The dashboard's listener asks for none. */
    assert_is(w, "X-Client-Verify: SUCCESS\r\n" MASTERS, "system:anonymous 0 -");
}

static void assert_told(const struct reply *r, const char *method, const char *address, const char *first_group)
{
    _cleanup_free_ char *by = header_of(r, "Method"), *from = header_of(r, "Address"), *group = header_of(r, "Group");

    assert_int_equal(r->status, 200);
    assert_string_equal(by, method);
    assert_string_equal(from, address);
    assert_string_equal(group, first_group);
}

static void test_how_and_from_where(void **state)
{
    struct world *w = *state;
    _cleanup_free_ char *mine = browser(w, "student", PASSWORD);
    _cleanup_reply_ struct reply by_socket =
                                     ask_on(&w->runner, "GET", "/x", "Host: y\r\nX-Real-IP: 192.0.2.9\r\n", NULL),
                                 by_nothing = ask(w, "GET", "/x", NULL, NULL),
                                 by_session = ask(w, "GET", "/x", mine, NULL),
                                 by_certificate = ask_api(w, "GET", "/x", "X-Client-Verify: SUCCESS\r\n" MASTERS, NULL);
    assert_told(&by_socket, "socket", "-", "system:authenticated");
    assert_told(&by_nothing, "anonymous", "192.0.2.1", "system:unauthenticated");
    assert_told(&by_session, "session", "192.0.2.1", "system:authenticated");
    assert_told(&by_certificate, "certificate", "192.0.2.1", "system:masters");
    assert_non_null(strstr(by_certificate.text, "\r\nGroup: system:authenticated\r\n"));
}

static unsigned certificate_status(struct world *w)
{
    _cleanup_reply_ struct reply r = ask_api(w, "GET", "/whoami", "X-Client-Verify: SUCCESS\r\n" MASTERS, NULL);
    return r.status;
}

static void test_revoked_certificates(void **state)
{
    struct world *w = *state;
    _cleanup_free_ char *path = xasprintf("%s/revoked", w->pki);
    assert_api(w, "GET", "X-Client-Verify: SUCCESS\r\n" MASTERS, "open-hydra-admin 1 -");
    assert_int_equal(write_file_atomic(path, STR("ab1\n"), 0644, NULL), 0);
    /* The file is not looked at for every request. */
    for (int i = 0; i < 100 && certificate_status(w) == 200; i++)
        usleep(10000);
    assert_api(w, "GET", "X-Client-Verify: SUCCESS\r\n" MASTERS, "401 Unauthorized");
}

/* What was let in before, and hangs on the answer (a watch). */
static void test_a_revoked_certificate_holds_no_more(void **state)
{
    struct world *w = *state;
    const struct identity old = {.name = "open-hydra-admin", .role = ROLE_ADMIN, .certificate = "AB1"},
                          other = {.name = "open-hydra-admin", .role = ROLE_ADMIN, .certificate = "AB2"};
    _cleanup_free_ char *path = xasprintf("%s/revoked", w->pki);
    assert_true(identity_still_holds(w->identifier, &old));
    assert_int_equal(write_file_atomic(path, STR("ab1\n"), 0644, NULL), 0);
    for (int i = 0; i < 1000 && identity_still_holds(w->identifier, &old); i++)
        usleep(10000);
    assert_false(identity_still_holds(w->identifier, &old));
    assert_true(identity_still_holds(w->identifier, &other));
}

/* The object of another user under the name, as a restored database may have it. */
static void test_a_session_is_its_users_alone(void **state)
{
    struct world *w = *state;
    _cleanup_free_ char *mine = browser(w, "student", PASSWORD);
    assert_is(w, mine, "student 2 uid-s");
    put_user(w, "student", "uid-other", ROLE_USER, w->hash);
    assert_is(w, mine, "401 Unauthorized");
}

static void test_browsers_on_the_api_listener(void **state)
{
    assert_api(*state, "POST", "Origin: http://127.0.0.1:30001\r\n", "403 Forbidden");
    assert_api(*state, "GET", "Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: no-cors\r\n", "403 Forbidden");
    _cleanup_free_ char *mine = browser(*state, "student", PASSWORD);
    assert_api(*state, "GET", mine, "system:anonymous 0 -");
}

static void test_browsers_on_the_dashboard_listener(void **state)
{
    assert_is(*state, "Host: evil.example:30001\r\n", "403 Forbidden");
    assert_is(*state, "Host: localhost:30001\r\n", "system:anonymous 0 -");
    assert_is(*state, "Sec-Fetch-Site: same-site\r\n", "403 Forbidden");
    assert_is(*state, "Sec-Fetch-Site: something-new\r\n", "403 Forbidden");
    assert_is(*state, "Sec-Fetch-Site: none\r\n", "system:anonymous 0 -");
    assert_is(*state, "Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\n",
              "system:anonymous 0 -");
    assert_is(*state, "Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: iframe\r\n",
              "403 Forbidden");
}

static char *old_header(const char *user_and_password)
{
    _cleanup_free_ char *encoded = base64_encode(user_and_password, strlen(user_and_password));
    return xasprintf("Open-Hydra-Auth: Bearer %s\r\n", encoded);
}

static void test_the_originals_header(void **state)
{
    struct world *w = *state;
    _cleanup_free_ char *good = old_header("student:" PASSWORD), *wrong = old_header("student:wrong"),
                        *unknown = old_header("nobody:wrong");
    assert_is(w, good, "student 2 uid-s");
    assert_is(w, good, "student 2 uid-s"); /* remembered */
    assert_api(w, "GET", good, "student 2 uid-s");
    assert_is(w, wrong, "401 Unauthorized");
    assert_is(w, unknown, "401 Unauthorized");
    assert_is(w, "Open-Hydra-Auth: Bearer ***\r\n", "401 Unauthorized");
    assert_is(w, "Open-Hydra-Auth: x\r\n", "401 Unauthorized");
    _cleanup_reply_ struct reply told = ask(w, "GET", "/x", good, NULL);
    assert_told(&told, "password", "192.0.2.1", "system:authenticated");
}

static void test_the_originals_header_ends_with_its_password(void **state)
{
    struct world *w = *state;
    _cleanup_free_ char *good = old_header("student:" PASSWORD), *hash = password_hash("another one");
    assert_is(w, good, "student 2 uid-s");
    put_user(w, "student", "uid-s", ROLE_USER, hash);
    assert_is(w, good, "401 Unauthorized");
    put_user(w, "student", "uid-s", ROLE_USER, w->hash);
    assert_is(w, good, "student 2 uid-s");
    delete_user(w, "student", "uid-s");
    assert_is(w, good, "401 Unauthorized");
}

static void test_wrong_headers_are_slowed_down(void **state)
{
    _cleanup_free_ char *wrong = old_header("student:wrong");
    for (int i = 0; i < 6; i++)
        assert_is(*state, wrong, "401 Unauthorized");
    fail_later(*state, "student");
    assert_is(*state, wrong, "429 TooManyRequests");
}

/* A dashboard of the original sends many at once, before any was verified: none may be taken for guessing. */
static void *ask_once(void *arg)
{
    void **a = arg;
    return whoami(a[0], a[1]);
}

static void test_many_at_once_need_one_verification(void **state)
{
    _cleanup_free_ char *good = old_header("student:" PASSWORD);
    void *arg[] = {*state, good};
    pthread_t threads[30];
    for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
        pthread_create(&threads[i], NULL, ask_once, arg);
    for (size_t i = 0; i < ARRAY_SIZE(threads); i++) {
        void *who;
        pthread_join(threads[i], &who);
        assert_string_equal(who, "student 2 uid-s");
        free(who);
    }
}

struct asking {
    struct world *w;
    const char *headers;
    char *who;
    atomic_bool done;
};

static void *ask_for(void *arg)
{
    struct asking *a = arg;
    a->who = whoami(a->w, a->headers);
    atomic_store(&a->done, true);
    return NULL;
}

/* A verification that takes seconds. */
static char *slow_hash(const char *password)
{
    char *out = xmalloc(crypto_pwhash_STRBYTES);
    assert_int_equal(
        crypto_pwhash_str_alg(out, password, strlen(password), 24, (size_t)64 << 20, crypto_pwhash_ALG_ARGON2ID13), 0);
    return out;
}

/* Two send the old password; while it is being verified, it changes: neither is let in. */
static void test_who_joins_is_let_in_by_the_present_password(void **state)
{
    struct world *w = *state;
    _cleanup_free_ char *headers = old_header("student:" PASSWORD), *slow = slow_hash(PASSWORD),
                        *new = password_hash("battery staple");
    struct asking asking[2] = {{.w = w, .headers = headers}, {.w = w, .headers = headers}};
    pthread_t threads[2];

    put_user(w, "student", "uid-s", ROLE_USER, slow);
    for (size_t i = 0; i < 2; i++)
        pthread_create(&threads[i], NULL, ask_for, &asking[i]);
    usleep(300000); /* begun, and not ended; were it otherwise, nothing would be shown, and nothing fail */
    bool early = atomic_load(&asking[0].done) || atomic_load(&asking[1].done);
    put_user(w, "student", "uid-s", ROLE_USER, new);
    for (size_t i = 0; i < 2; i++) {
        pthread_join(threads[i], NULL);
        if (!early)
            assert_string_equal(asking[i].who, "401 Unauthorized");
        free(asking[i].who);
    }
}

static void test_without_authentication_everybody_is_the_first_admin(void **state)
{
    struct world *w = *state;
    _cleanup_free_ char *wrong = old_header("student:wrong");
    assert_is(w, NULL, "teacher 1 uid-t");
    assert_is(w, wrong, "teacher 1 uid-t");
    assert_api(w, "DELETE", NULL, "teacher 1 uid-t");
    put_user(w, "teacher", "uid-t", ROLE_USER, NULL);
    assert_is(w, NULL, "admin 1 -");
    put_user(w, "boss", "uid-b", ROLE_ADMIN, NULL);
    assert_is(w, NULL, "boss 1 uid-b");
    _cleanup_reply_ struct reply r = ask(w, "GET", "/auth/session", NULL, NULL);
    assert_string_equal(string_of(&r, "username"), "boss");
    assert_true(json_bool_at(yyjson_doc_get_root(r.json), "authDisabled", false));
    /* Nobody's page, nor a rebound name, may make use of it. */
    assert_is(w, "Host: evil.example:30001\r\n", "403 Forbidden");
    assert_is(w, "Sec-Fetch-Site: same-site\r\n", "403 Forbidden");
    assert_api(w, "POST", "Origin: http://x\r\n", "403 Forbidden");
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_the_runner_is_known_by_its_socket),
        T(test_nobody),
        T(test_certificates),
        T(test_how_and_from_where),
        T(test_revoked_certificates),
        T(test_a_revoked_certificate_holds_no_more),
        T(test_a_session_is_its_users_alone),
        T(test_who_joins_is_let_in_by_the_present_password),
        T(test_browsers_on_the_api_listener),
        T(test_browsers_on_the_dashboard_listener),
        T(test_the_originals_header),
        T(test_the_originals_header_ends_with_its_password),
        T(test_wrong_headers_are_slowed_down),
        T(test_many_at_once_need_one_verification),
        cmocka_unit_test_setup_teardown(test_without_authentication_everybody_is_the_first_admin, setup_disabled,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
