/* Whom a pass lets in, and what ends that: another client, time, the session, the password, the user, the role. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/io.h"
#include "server/gateway/access.h"
#include "server/gateway/gateway.h"
#include "server/gateway/room.h"
#include "unit/auth/fixture.h"

#define S ((int64_t)1000000)
#define PORT 31001

struct scene {
    struct world *w;
    struct gateway *g;
    struct arena *arena;
    int64_t now;
};

static const struct port_device device = {.name = "anna", .uid = "uid-device", .owner = "anna", .phase = PHASE_RUNNING};

static int setup(void **state)
{
    struct scene *s = xcalloc(1, sizeof(*s));

    s->w = world_new(false);
    s->g = gateway_new(&s->w->config, s->w->store, s->w->identifier, NULL);
    s->arena = arena_new();
    s->now = clock_realtime_us() / S * S;
    assert_non_null(s->g);
    put_user(s->w, "anna", "uid-a", ROLE_USER, s->w->hash);
    put_user(s->w, "ben", "uid-b", ROLE_USER, s->w->hash);
    put_user(s->w, "teacher", "uid-t", ROLE_ADMIN, s->w->hash);
    *state = s;
    return 0;
}

static int teardown(void **state)
{
    struct scene *s = *state;

    arena_free(s->arena);
    gateway_free(s->g);
    world_free(s->w);
    free(s);
    return 0;
}

static struct gateway_request from(const char *address, const char *browser)
{
    return (struct gateway_request){.method = STR("GET"),
                                    .uri = STR("/api"),
                                    .port = PORT,
                                    .fetch_mode = STR("cors"),
                                    .address = str_from(address),
                                    .browser = str_from(browser)};
}
#define HERE from("192.0.2.1", "Firefox")

/* The cookie of somebody who has just come in from there, having sent `held`. */
static const char *come_in(struct scene *s, const struct identity *who, struct gateway_request r, const char *held)
{
    struct pass p;

    r.cookie = str_from(held);
    assert_int_equal(access_make(s->g, who, &device, PORT, s->now, &p, NULL), 0);
    access_bind(s->g, &r, s->now, s->arena, &p);
    return arena_printf(s->arena, "%s=%s", pass_cookie_name(s->arena, s->g->site.secure_cookie, PORT),
                        pass_seal(s->arena, &s->g->keys, &p));
}

static bool enters(struct scene *s, const char *cookie, struct gateway_request r, int64_t at)
{
    struct pass p;

    r.cookie = str_from(cookie);
    return access_by_cookie(s->g, &r, &device, at, s->arena, &p);
}

static bool enters_now(struct scene *s, const char *cookie)
{
    return enters(s, cookie, HERE, s->now);
}

static const struct identity anna = {.name = "anna", .role = ROLE_USER, .uid = "uid-a"},
                             teacher = {.name = "teacher", .role = ROLE_ADMIN, .uid = "uid-t"},
                             certificate = {.name = "open-hydra-admin", .role = ROLE_ADMIN, .certificate = "AB1"};

static void who_may(void **state)
{
    struct scene *s = *state;
    const struct identity ben = {.name = "ben", .role = ROLE_USER, .uid = "uid-b"},
                          nobody = {.name = "anna", .role = ROLE_USER}, runner = {.name = "r", .role = ROLE_RUNNER};
    struct pass p;

    assert_true(enters_now(s, come_in(s, &anna, HERE, NULL)));
    assert_true(enters_now(s, come_in(s, &teacher, HERE, NULL)));
    assert_true(enters_now(s, come_in(s, &certificate, HERE, NULL)));
    assert_int_equal(access_make(s->g, &ben, &device, PORT, s->now, &p, NULL), -1);
    assert_int_equal(access_make(s->g, &nobody, &device, PORT, s->now, &p, NULL), -1);
    assert_int_equal(access_make(s->g, &runner, &device, PORT, s->now, &p, NULL), -1);
    assert_false(enters_now(s, ""));
}

static void for_its_client_alone(void **state)
{
    struct scene *s = *state;
    const char *cookie = come_in(s, &anna, HERE, NULL);

    assert_true(enters_now(s, cookie));
    assert_false(enters(s, cookie, from("192.0.2.2", "Firefox"), s->now));
    assert_false(enters(s, cookie, from("192.0.2.1", "curl/8"), s->now));
    assert_false(enters(s, cookie, from("192.0.2.1", ""), s->now));
    assert_false(enters(s, cookie, from("", "Firefox"), s->now));
}

static void an_ipv6_network_is_one_client(void **state)
{
    struct scene *s = *state;
    const char *cookie = come_in(s, &anna, from("2001:db8:0:1::1", "x"), NULL);

    assert_true(enters(s, cookie, from("2001:db8:0:1:ffff::2", "x"), s->now));
    assert_false(enters(s, cookie, from("2001:db8:0:2::1", "x"), s->now));
    cookie = come_in(s, &anna, from("::ffff:192.0.2.1", "x"), NULL);
    assert_true(enters(s, cookie, from("192.0.2.1", "x"), s->now));
    assert_false(enters(s, cookie, from("::ffff:192.0.2.2", "x"), s->now));
}

static char *session_of(struct world *w, const char *headers)
{
    _cleanup_reply_ struct reply r = ask(w, "GET", "/whoami", headers, NULL);
    return header_of(&r, "Session");
}

/* A host that is reached by IPv4 and IPv6 in turns: opened from either, both go on; a third ends the first. */
static void two_addresses_of_one_browser(void **state)
{
    struct scene *s = *state;
    const struct gateway_request other = from("2001:db8::1", "Firefox"), third = from("192.0.2.3", "Firefox");
    const char *cookie = come_in(s, &anna, HERE, NULL);

    cookie = come_in(s, &anna, other, cookie);
    assert_true(enters_now(s, cookie));
    assert_true(enters(s, cookie, other, s->now));
    cookie = come_in(s, &anna, other, cookie); /* again from there */
    assert_true(enters_now(s, cookie));
    cookie = come_in(s, &anna, third, cookie);
    assert_true(enters(s, cookie, third, s->now));
    assert_true(enters(s, cookie, other, s->now));
    assert_false(enters_now(s, cookie));
    /* Another login's, somebody else's, or one that is over, adds nothing. */
    _cleanup_free_ char *mine = browser(s->w, "anna", PASSWORD), *id = session_of(s->w, mine);
    const struct identity logged_in = {.name = "anna", .role = ROLE_USER, .uid = "uid-a", .session = id};
    cookie = come_in(s, &logged_in, other, come_in(s, &anna, HERE, NULL));
    assert_true(enters(s, cookie, other, s->now));
    assert_false(enters_now(s, cookie));
    cookie = come_in(s, &teacher, other, come_in(s, &anna, HERE, NULL));
    assert_false(enters_now(s, cookie));
    cookie = come_in(s, &anna, HERE, NULL);
    s->now += PASS_SECONDS * S;
    cookie = come_in(s, &anna, other, cookie);
    assert_false(enters_now(s, cookie));
}

static void it_expires(void **state)
{
    struct scene *s = *state;
    const struct identity *const all[] = {&anna, &teacher, &certificate};

    for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
        const char *cookie = come_in(s, all[i], HERE, NULL);
        assert_true(enters(s, cookie, HERE, s->now + PASS_SECONDS * S - 1));
        assert_false(enters(s, cookie, HERE, s->now + PASS_SECONDS * S));
    }
}

static int64_t life_of(struct scene *s, const struct identity *who)
{
    struct pass p;

    assert_int_equal(access_make(s->g, who, &device, PORT, s->now, &p, NULL), 0);
    assert_true(p.expires_us <= p.ends_us);
    return (p.ends_us - s->now) / S;
}

/* What hangs on no session ends by itself, used or not. */
static void how_far_it_is_renewed(void **state)
{
    struct scene *s = *state;
    const struct identity with_session = {.name = "anna", .role = ROLE_USER, .uid = "uid-a", .session = "s"};

    assert_int_equal(life_of(s, &certificate), 3600);
    assert_int_equal(life_of(s, &anna), 3600);
    s->w->config.session_seconds = 60;
    assert_int_equal(life_of(s, &anna), 60);
    assert_int_equal(life_of(s, &certificate), 3600);
    assert_true(life_of(s, &with_session) > 365 * 86400);
}

static void a_certificate_that_is_revoked(void **state)
{
    struct scene *s = *state;
    const char *cookie = come_in(s, &certificate, HERE, NULL);
    _cleanup_free_ char *path = xasprintf("%s/revoked", s->w->pki);

    assert_true(enters_now(s, cookie));
    assert_int_equal(write_file_atomic(path, STR("AB1\n"), 0644, NULL), 0);
    for (int i = 0; i < 1000 && enters_now(s, cookie); i++)
        usleep(10000);
    assert_false(enters_now(s, cookie));
}

static int64_t end_of(struct scene *s, const char *id)
{
    _cleanup_session_ struct session *session = sessions_by_id(s->w->accounts->sessions, id, 0);
    return session->expires_us;
}

static void a_session_and_its_use(void **state)
{
    struct scene *s = *state;
    s->w->config.session_seconds = 10;
    _cleanup_free_ char *mine = browser(s->w, "anna", PASSWORD), *id = session_of(s->w, mine);
    const struct identity who = {.name = "anna", .role = ROLE_USER, .uid = "uid-a", .session = id};
    const char *cookie = come_in(s, &who, HERE, NULL);
    struct gateway_request save = HERE;
    int64_t first = end_of(s, id);

    save.method = STR("PUT");
    usleep(1100000); /* more than a tenth */
    assert_true(enters_now(s, cookie));
    assert_int_equal(end_of(s, id), first); /* a look whether there is news */
    assert_true(enters(s, cookie, save, s->now));
    assert_true(end_of(s, id) >= first + S);
    _cleanup_reply_ struct reply out = ask(s->w, "POST", "/auth/logout", mine, NULL);
    assert_int_equal(out.status, 204);
    assert_false(enters_now(s, cookie));
}

static void a_changed_password(void **state)
{
    struct scene *s = *state;
    const char *cookie = come_in(s, &anna, HERE, NULL);
    _cleanup_free_ char *hash = password_hash("another one");

    put_user(s->w, "anna", "uid-a", ROLE_USER, hash);
    assert_false(enters_now(s, cookie));
}

/* The device is said to be the same, so that the user alone makes the difference. */
static void a_user_of_the_same_name(void **state)
{
    struct scene *s = *state;
    const char *cookie = come_in(s, &anna, HERE, NULL), *teachers = come_in(s, &teacher, HERE, NULL);
    static const struct identity owner = {.name = "anna", .role = ROLE_USER, .uid = "uid-a", .session = ""};
    const char *with_session = come_in(s, &owner, HERE, NULL);

    put_user(s->w, "anna", "uid-other", ROLE_USER, s->w->hash);
    assert_false(enters_now(s, cookie));
    assert_false(enters_now(s, with_session));
    assert_true(enters_now(s, teachers));
    /* Nor is a pass made from the new one's password. */
    struct pass p;
    assert_int_equal(access_make(s->g, &anna, &device, PORT, s->now, &p, NULL), 0);
    assert_true(p.password == 0);
    put_user(s->w, "anna", "uid-a", ROLE_USER, s->w->hash);
    assert_true(enters_now(s, cookie));
    delete_user(s->w, "anna", "uid-a");
    assert_false(enters_now(s, cookie));
}

static int put_leaving(struct store_txn *t, void *arg, struct error **err)
{
    static const char json[] =
        "{\"metadata\":{\"name\":\"teacher\",\"uid\":\"uid-t\",\"deletionTimestamp\":\"2026-01-01T"
        "00:00:00Z\",\"finalizers\":[\"x\"]},\"spec\":{\"role\":1}}";
    txn_put(t, "openhydrausers", "teacher", "uid-t", str_from(json));
    return 0;
}

/* One that is being deleted, and waits for the own environment. */
static void an_administrator_no_more(void **state)
{
    struct scene *s = *state;
    const char *cookie = come_in(s, &teacher, HERE, NULL);

    put_user(s->w, "teacher", "uid-t", ROLE_USER, s->w->hash);
    assert_false(enters_now(s, cookie));
    put_user(s->w, "teacher", "uid-t", ROLE_ADMIN, s->w->hash);
    assert_true(enters_now(s, cookie));
    assert_int_equal(store_run(s->w->store, put_leaving, NULL, NULL), 0);
    assert_false(enters_now(s, cookie));
}

static void another_device_or_port(void **state)
{
    struct scene *s = *state;
    const char *cookie = come_in(s, &anna, HERE, NULL);
    struct port_device other = device;
    struct gateway_request r = HERE;
    struct pass p;

    r.cookie = str_from(cookie);
    other.uid = "uid-other";
    assert_false(access_by_cookie(s->g, &r, &other, s->now, s->arena, &p));
    assert_true(access_by_cookie(s->g, &r, &device, s->now, s->arena, &p));
    const struct access here = {PORT, s->now, false}, there = {PORT + 1, s->now, false};
    assert_true(access_allowed(s->g, &p, &device, &here));
    assert_false(access_allowed(s->g, &p, &device, &there));
}

/* One that was another browser's, or is over, hides none behind it. */
static void behind_others_that_do_not_fit(void **state)
{
    struct scene *s = *state;
    const char *good = come_in(s, &anna, HERE, NULL),
               *elsewhere = come_in(s, &anna, from("192.0.2.2", "Firefox"), NULL);

    s->now -= PASS_SECONDS * S;
    const char *over = come_in(s, &anna, HERE, NULL);
    s->now += PASS_SECONDS * S;
    assert_false(enters_now(s, elsewhere));
    assert_false(enters_now(s, over));
    assert_true(enters_now(s, arena_printf(s->arena, "%s; %s; %s", elsewhere, over, good)));
}

/* A hostile page fills the jar with the name. */
static void behind_a_hundred_planted_ones(void **state)
{
    struct scene *s = *state;
    const char *good = come_in(s, &anna, HERE, NULL),
               *name = pass_cookie_name(s->arena, s->g->site.secure_cookie, PORT);
    _cleanup_buffer_ struct buffer jar = BUFFER_MAX(65536);

    for (int i = 0; i < 100; i++)
        buffer_printf(&jar, "%s=x%d; ", name, i);
    buffer_puts(&jar, good);
    assert_true(enters_now(s, jar.p));
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(who_may),
        T(for_its_client_alone),
        T(an_ipv6_network_is_one_client),
        T(two_addresses_of_one_browser),
        T(it_expires),
        T(how_far_it_is_renewed),
        T(a_certificate_that_is_revoked),
        T(a_session_and_its_use),
        T(a_changed_password),
        T(a_user_of_the_same_name),
        T(an_administrator_no_more),
        T(another_device_or_port),
        T(behind_others_that_do_not_fit),
        T(behind_a_hundred_planted_ones),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
