#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>

#include "base/alloc.h"
#include "unit/auth/fixture.h"

static int setup(void **state)
{
    struct world *w = world_new(false);
    put_user(w, "student", "uid-s", ROLE_USER, w->hash);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    world_free(*state);
    return 0;
}

static struct reply set_up(struct world *w, const char *code, const char *user, const char *password)
{
    _cleanup_free_ char *body = xasprintf(
        "{\"code\":\"%s\",\"username\":\"%s\",\"password\":\"%s\",\"chineseName\":\"王老师\"}", code, user, password);
    return ask(w, "POST", "/auth/setup", NULL, body);
}

static bool setup_required(struct world *w)
{
    _cleanup_reply_ struct reply r = ask(w, "GET", "/auth/session", NULL, NULL);
    return json_bool_at(yyjson_doc_get_root(r.json), "setupRequired", false);
}

static void test_the_link_makes_the_first_admin(void **state)
{
    struct world *w = *state;
    _cleanup_free_ char *code = accounts_setup_code(w->accounts), *again = accounts_setup_code(w->accounts);
    assert_non_null(code);
    assert_string_equal(code, again);
    assert_true(setup_required(w));

    _cleanup_reply_ struct reply r = set_up(w, code, "boss", "battery staple");
    if (r.status != 201)
        fail_msg("%s", r.text);
    assert_string_equal(string_of(&r, "username"), "boss");
    assert_string_equal(string_of(&r, "chineseName"), "王老师");
    assert_int_equal(json_int_at(yyjson_doc_get_root(r.json), "role", 0), ROLE_ADMIN);
    _cleanup_free_ char *mine = headers_of_session(&r), *who = whoami(w, mine);
    assert_true(starts_with(who, "boss 1 "));
    free(browser(w, "boss", "battery staple"));

    assert_false(setup_required(w));
    assert_null(accounts_setup_code(w->accounts));
    _cleanup_reply_ struct reply second = set_up(w, code, "other", "battery staple");
    assert_int_equal(second.status, 403);
}

static void test_refused_setups(void **state)
{
    struct world *w = *state;
    _cleanup_reply_ struct reply too_early = set_up(w, "", "boss", "battery staple");
    assert_int_equal(too_early.status, 403);
    _cleanup_free_ char *code = accounts_setup_code(w->accounts);
    _cleanup_free_ char *half = xstrndup(code, strlen(code) / 2), *longer = xasprintf("%sx", code);
    const char *const codes[] = {"", half, longer};
    for (size_t i = 0; i < ARRAY_SIZE(codes); i++) {
        _cleanup_reply_ struct reply r = set_up(w, codes[i], "boss", "battery staple");
        assert_int_equal(r.status, 403);
    }
    _cleanup_reply_ struct reply wrong = set_up(w, "x", "boss", "battery staple"),
                                 name = set_up(w, code, "Big Boss", "short"),
                                 taken = set_up(w, code, "student", "battery staple");
    assert_int_equal(wrong.status, 403);
    assert_int_equal(name.status, 422);
    yyjson_val *causes = json_at(yyjson_doc_get_root(name.json), "details.causes");
    assert_int_equal(yyjson_arr_size(causes), 2);
    assert_string_equal(json_str_at(yyjson_arr_get_first(causes), "field"), "username");
    assert_int_equal(taken.status, 409);
    _cleanup_reply_ struct reply nothing = ask(w, "POST", "/auth/setup", NULL, "{}");
    assert_int_equal(nothing.status, 422);
    assert_true(setup_required(w));
    _cleanup_reply_ struct reply capital = set_up(w, code, "Boss", "battery staple"),
                                 good = set_up(w, code, " boss ", "battery staple\\n");
    assert_int_equal(capital.status, 422);
    assert_int_equal(good.status, 201);
    assert_string_equal(string_of(&good, "username"), "boss");
    free(browser(w, "boss", "battery staple"));
}

static void test_an_admin_made_otherwise_ends_the_link(void **state)
{
    struct world *w = *state;
    _cleanup_free_ char *code = accounts_setup_code(w->accounts);
    put_user(w, "admin", "uid-a", ROLE_ADMIN, NULL);
    _cleanup_reply_ struct reply r = set_up(w, code, "boss", "battery staple");
    assert_int_equal(r.status, 403);
    assert_false(setup_required(w));
}

static void test_a_new_start_makes_a_new_code(void **state)
{
    struct world *w = *state;
    _cleanup_free_ char *code = accounts_setup_code(w->accounts);
    world_restart(w);
    _cleanup_free_ char *other = accounts_setup_code(w->accounts);
    assert_string_not_equal(code, other);
    _cleanup_reply_ struct reply r = set_up(w, code, "boss", "battery staple");
    assert_int_equal(r.status, 403);
}

struct one {
    struct world *w;
    const char *code;
    char user[8];
    unsigned status;
};

static void *set_up_once(void *arg)
{
    struct one *o = arg;
    _cleanup_reply_ struct reply r = set_up(o->w, o->code, o->user, "battery staple");
    o->status = r.status;
    return NULL;
}

static void test_only_one_of_many_wins(void **state)
{
    struct world *w = *state;
    _cleanup_free_ char *code = accounts_setup_code(w->accounts);
    struct one ones[6];
    pthread_t threads[6];
    unsigned made = 0;
    for (size_t i = 0; i < 6; i++) {
        ones[i] = (struct one){w, code, "user0", 0};
        ones[i].user[4] = (char)('0' + i);
        pthread_create(&threads[i], NULL, set_up_once, &ones[i]);
    }
    for (size_t i = 0; i < 6; i++) {
        pthread_join(threads[i], NULL);
        made += ones[i].status == 201;
        assert_true(ones[i].status == 201 || ones[i].status == 403);
    }
    assert_int_equal(made, 1);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_the_link_makes_the_first_admin),
        T(test_refused_setups),
        T(test_an_admin_made_otherwise_ends_the_link),
        T(test_a_new_start_makes_a_new_code),
        T(test_only_one_of_many_wins),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
