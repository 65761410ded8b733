/* Passes: what is sealed comes back, what is not ours does not; tickets: once, in time, for one port. */
#include "unit/gateway/configured.h"

#include <sodium.h>

#include "base/alloc.h"
#include "base/encoding.h"
#include "server/gateway/client.h"
#include "server/gateway/ticket.h"

#define MINUTE ((int64_t)60 * 1000000)

static struct pass_keys keys, other_keys;
static struct arena *arena;

static int setup(void **state)
{
    static const unsigned char master[PASS_KEY_BYTES] = {1}, other[PASS_KEY_BYTES] = {2};

    assert_true(sodium_init() >= 0);
    pass_keys_derive(&keys, master);
    pass_keys_derive(&other_keys, other);
    arena = arena_new();
    return 0;
}

static int teardown(void **state)
{
    arena_free(arena);
    return 0;
}

static struct pass sample(uint16_t port)
{
    return (struct pass){.device = 11,
                         .owner = 12,
                         .user_uid = 13,
                         .password = 14,
                         .clients = {15, 16},
                         .user = "student1",
                         .session = "s-1",
                         .role = 2,
                         .port = port,
                         .expires_us = 1800000000000000,
                         .ends_us = 1900000000000000};
}

static void comes_back_as_it_was(void **state)
{
    struct pass in = sample(31001), out;

    assert_int_equal(pass_open(arena, &keys, str_from(pass_seal(arena, &keys, &in)), &out), 0);
    assert_int_equal(out.device, 11);
    assert_int_equal(out.owner, 12);
    assert_int_equal(out.user_uid, 13);
    assert_int_equal(out.password, 14);
    assert_string_equal(out.user, "student1");
    assert_string_equal(out.session, "s-1");
    assert_int_equal(out.role, 2);
    assert_int_equal(out.port, 31001);
    assert_int_equal(out.clients[0], 15);
    assert_int_equal(out.clients[1], 16);
    assert_int_equal(out.expires_us, 1800000000000000);
    assert_int_equal(out.ends_us, 1900000000000000);
}

static void any_changed_bit_is_noticed(void **state)
{
    struct pass in = sample(31001), out;
    const char *sealed = pass_seal(arena, &keys, &in);
    size_t n;
    _cleanup_free_ char *raw = base64_decode(str_from(sealed), &n);

    for (size_t bit = 0; bit < 8 * n; bit++) {
        raw[bit / 8] ^= (char)(1 << (bit % 8));
        _cleanup_free_ char *changed = base64url_encode(raw, n);
        assert_int_equal(pass_open(arena, &keys, str_from(changed), &out), -1);
        raw[bit / 8] ^= (char)(1 << (bit % 8));
    }
    for (size_t k = 0; k < strlen(sealed); k++)
        assert_int_equal(pass_open(arena, &keys, (struct str){sealed, k}, &out), -1);
    assert_int_equal(pass_open(arena, &other_keys, str_from(sealed), &out), -1);
}

static void empty_and_longest_names(void **state)
{
    struct pass in = sample(1), out;
    char name[254];

    memset(name, 'n', 253);
    name[253] = '\0';
    in.user = name;
    in.session = "";
    assert_int_equal(pass_open(arena, &keys, str_from(pass_seal(arena, &keys, &in)), &out), 0);
    assert_string_equal(out.user, name);
    assert_string_equal(out.session, "");
}

static void marks_tell_apart(void **state)
{
    assert_int_equal(pass_mark_of(&keys, NULL), 0);
    assert_int_equal(pass_mark_of(&keys, ""), 0);
    assert_int_equal(pass_mark_of(&keys, "a"), pass_mark_of(&keys, "a"));
    assert_int_not_equal(pass_mark_of(&keys, "a"), pass_mark_of(&keys, "b"));
    assert_int_not_equal(pass_mark_of(&keys, "a"), pass_mark_of(&other_keys, "a"));
}

static const char *cookie(const char *name, const struct pass *p)
{
    return arena_printf(arena, "%s=%s", name, pass_seal(arena, &keys, p));
}

static void found_among_other_cookies(void **state)
{
    struct pass mine = sample(31001), another = sample(31002), out;
    const char *name = pass_cookie_name(arena, true, 31001);
    struct str jar = str_from(arena_printf(arena, "x=1; %s; %s=rubbish;%s=; %s ; %s",
                                           cookie(pass_cookie_name(arena, true, 31002), &another), name, name,
                                           cookie(name, &another), cookie(name, &mine)));
    struct str rest = jar;

    assert_string_equal(name, "__Host-Http-open-hydra-env-31001");
    assert_int_equal(pass_next(arena, &keys, &rest, true, 31001, &out), 0);
    assert_int_equal(out.port, 31001);
    assert_int_equal(pass_next(arena, &keys, &rest, true, 31001, &out), -1);
    rest = jar;
    assert_int_equal(pass_next(arena, &keys, &rest, true, 31003, &out), -1);
    rest = jar;
    assert_int_equal(pass_next(arena, &keys, &rest, false, 31001, &out), -1);
    rest = (struct str){NULL, 0};
    assert_int_equal(pass_next(arena, &keys, &rest, true, 31001, &out), -1);
    rest = jar;
    size_t n = 0;
    while (pass_next(arena, &keys, &rest, true, 0, &out) == 0)
        n++;
    assert_int_equal(n, 3);
}

static void many_fit_into_a_header_line(void **state)
{
    struct pass p = sample(31001);

    p.user = "student-with-a-long-name";
    p.session = "0123456789abcdef0123456789abcdef";
    size_t each = strlen(cookie(pass_cookie_name(arena, true, 31001), &p)) + 2;
    assert_true(each * PASSES_MAX < 7000);
}

static void clients_are_told_apart(void **state)
{
    const struct gateway_request r = {.address = STR("127.0.0.1"), .browser = STR("Firefox")};
    struct gateway_request other = r;
    pass_mark mine = client_mark(&keys, &r, 1000);

    assert_int_equal(mine, client_mark(&keys, &r, 1000));
    assert_int_not_equal(mine, client_mark(&keys, &r, 1001));
    assert_int_not_equal(mine, client_mark(&keys, &r, (uid_t)-1));
    assert_int_not_equal(mine, client_mark(&other_keys, &r, 1000));
    other.browser = STR("curl");
    assert_int_not_equal(mine, client_mark(&keys, &other, 1000));
    other.browser = r.browser;
    other.address = STR("127.0.0.2");
    assert_int_not_equal(mine, client_mark(&keys, &other, 1000));
}

static void clients_of_a_pass(void **state)
{
    struct pass p = sample(1);

    assert_true(pass_fits_client(&p, 15) && pass_fits_client(&p, 16));
    assert_false(pass_fits_client(&p, 17));
    p = (struct pass){0};
    assert_false(pass_fits_client(&p, 0));
    pass_add_client(&p, 1);
    pass_add_client(&p, 1);
    assert_true(p.clients[0] == 1 && p.clients[1] == 0);
    pass_add_client(&p, 2);
    assert_true(p.clients[0] == 2 && p.clients[1] == 1);
    pass_add_client(&p, 3);
    assert_true(p.clients[0] == 3 && p.clients[1] == 2);
}

/* Once in five minutes, to an hour from then, and no further than its end. */
static void a_used_pass_is_renewed(void **state)
{
    const int64_t second = 1000000, now = 1700000000 * second;
    struct pass p = {.expires_us = now + 3600 * second, .ends_us = now + 5000 * second};

    assert_false(pass_renew(&p, now));
    assert_false(pass_renew(&p, now + 299 * second));
    assert_int_equal(p.expires_us, now + 3600 * second);
    assert_true(pass_renew(&p, now + 300 * second));
    assert_int_equal(p.expires_us, now + 3900 * second);
    assert_false(pass_renew(&p, now + 300 * second));
    assert_true(pass_renew(&p, now + 3800 * second));
    assert_int_equal(p.expires_us, now + 5000 * second);
    assert_false(pass_renew(&p, now + 4999 * second));
}

static void set_cookie_is_protected(void **state)
{
    struct pass p = sample(31001);
    const char *secure = pass_set_cookie(arena, &keys, &p, true, p.expires_us - 90 * 1000000);
    const char *plain = pass_set_cookie(arena, &keys, &p, false, p.expires_us + 1);

    assert_true(starts_with(secure, "__Host-Http-open-hydra-env-31001="));
    assert_true(ends_with(secure, "; Path=/; Max-Age=90; HttpOnly; SameSite=Lax; Secure"));
    assert_true(starts_with(plain, "open-hydra-env-31001="));
    assert_true(ends_with(plain, "; Path=/; Max-Age=0; HttpOnly; SameSite=Lax"));
    assert_string_equal(pass_end_cookie(arena, true, 31002),
                        "__Host-Http-open-hydra-env-31002=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax; Secure");
}

static char *issue(struct tickets *t, const struct pass *p, int64_t now)
{
    struct error *err = NULL;
    char *text = tickets_issue(t, p, now, &err);

    assert_null(err);
    assert_non_null(text);
    return text;
}

static void ticket_opens_once(void **state)
{
    struct tickets *t = tickets_new();
    struct pass p = sample(31001), out;
    _cleanup_free_ char *text = issue(t, &p, 0);

    assert_int_equal(tickets_redeem(t, str_from(text), 31001, 1, arena, &out), 0);
    assert_string_equal(out.user, "student1");
    assert_int_equal(out.device, 11);
    assert_int_equal(tickets_redeem(t, str_from(text), 31001, 1, arena, &out), -1);
    assert_int_equal(tickets_count(t), 0);
    tickets_free(t);
}

static void ticket_expires(void **state)
{
    struct tickets *t = tickets_new();
    struct pass p = sample(31001), out;
    _cleanup_free_ char *first = issue(t, &p, 0), *second = issue(t, &p, MINUTE / 2);

    assert_int_equal(tickets_redeem(t, str_from(first), 31001, MINUTE, arena, &out), -1);
    assert_int_equal(tickets_count(t), 1);
    assert_int_equal(tickets_redeem(t, str_from(second), 31001, MINUTE + MINUTE / 2 - 1, arena, &out), 0);
    tickets_free(t);
}

static void ticket_is_for_one_port_and_no_guess(void **state)
{
    struct tickets *t = tickets_new();
    struct pass p = sample(31001), out;
    _cleanup_free_ char *text = issue(t, &p, 0), *guess = xstrdup(text);

    guess[63] ^= 1;
    assert_int_equal(tickets_redeem(t, str_from(guess), 31001, 0, arena, &out), -1);
    assert_int_equal(tickets_redeem(t, str_from(text), 31002, 0, arena, &out), -1);
    assert_int_equal(tickets_redeem(t, (struct str){text, 63}, 31001, 0, arena, &out), -1);
    assert_int_equal(tickets_redeem(t, STR(""), 31001, 0, arena, &out), -1);
    assert_int_equal(tickets_redeem(t, str_from(text), 31001, 0, arena, &out), 0);
    tickets_free(t);
}

static void tickets_are_bounded(void **state)
{
    struct tickets *t = tickets_new();
    struct pass p = sample(31001), out;
    _cleanup_free_ char *first = issue(t, &p, 0);
    struct error *err = NULL;

    for (int i = 0; i < TICKETS_PER_USER; i++)
        free(issue(t, &p, 1));
    assert_int_equal(tickets_count(t), TICKETS_PER_USER);
    assert_int_equal(tickets_redeem(t, str_from(first), 31001, 1, arena, &out), -1);
    for (int user = 1; user < TICKETS_MAX / TICKETS_PER_USER; user++) {
        _cleanup_free_ char *name = xasprintf("u%d", user);
        p.user = name;
        for (int i = 0; i < TICKETS_PER_USER; i++)
            free(issue(t, &p, 1));
    }
    p.user = "one-more";
    assert_null(tickets_issue(t, &p, 1, &err));
    assert_int_equal(err->reason, REASON_TOO_MANY_REQUESTS);
    error_free(err);
    free(issue(t, &p, 1 + MINUTE));
    assert_int_equal(tickets_count(t), 1);
    tickets_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(comes_back_as_it_was, setup, teardown),
        cmocka_unit_test_setup_teardown(any_changed_bit_is_noticed, setup, teardown),
        cmocka_unit_test_setup_teardown(empty_and_longest_names, setup, teardown),
        cmocka_unit_test_setup_teardown(marks_tell_apart, setup, teardown),
        cmocka_unit_test_setup_teardown(found_among_other_cookies, setup, teardown),
        cmocka_unit_test_setup_teardown(many_fit_into_a_header_line, setup, teardown),
        cmocka_unit_test_setup_teardown(clients_are_told_apart, setup, teardown),
        cmocka_unit_test_setup_teardown(clients_of_a_pass, setup, teardown),
        cmocka_unit_test_setup_teardown(a_used_pass_is_renewed, setup, teardown),
        cmocka_unit_test_setup_teardown(set_cookie_is_protected, setup, teardown),
        cmocka_unit_test_setup_teardown(ticket_opens_once, setup, teardown),
        cmocka_unit_test_setup_teardown(ticket_expires, setup, teardown),
        cmocka_unit_test_setup_teardown(ticket_is_for_one_port_and_no_guess, setup, teardown),
        cmocka_unit_test_setup_teardown(tickets_are_bounded, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
