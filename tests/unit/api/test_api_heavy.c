/* What is too large for an event thread goes to workers, and what is too large at all is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdatomic.h>

#include "base/alloc.h"
#include "base/thread.h"
#include "unit/api/client.h"

#define TABLE "application/json;as=Table;v=v1;g=meta.k8s.io"

static struct fixture f;

static int setup(void **state)
{
    f = (struct fixture){0};
    fixture_start(&f);
    return 0;
}

/* --- Workers whose pieces take long, by their clock --- */

#define LONG_US (INT64_C(1000) * 1000000)

int64_t __real_clock_monotonic_us(void);
int64_t __wrap_clock_monotonic_us(void);

static atomic_bool slow;

int64_t __wrap_clock_monotonic_us(void)
{
    static _Thread_local int64_t later;
    char name[16] = "";

    if (atomic_load(&slow) && pthread_getname_np(pthread_self(), name, sizeof(name)) == 0 && streq(name, "parse"))
        later += LONG_US;
    return __real_clock_monotonic_us() + later;
}

/* --- Workers that are busy until they are let go --- */

static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool open, held;
} gate = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false, false};

static void hold(void *arg)
{
    LOCK_SCOPE(&gate.lock);
    gate.held = true;
    pthread_cond_broadcast(&gate.changed);
    while (!gate.open)
        pthread_cond_wait(&gate.changed, &gate.lock);
}

static void hold_workers(struct workers *w)
{
    gate.open = gate.held = false;
    assert_int_equal(workers_submit(w, &(struct work){.fn = hold, .owner = "the test"}), 0);
    LOCK_SCOPE(&gate.lock);
    while (!gate.held)
        pthread_cond_wait(&gate.changed, &gate.lock);
}

static void let_go(void)
{
    LOCK_SCOPE(&gate.lock);
    gate.open = true;
    pthread_cond_broadcast(&gate.changed);
}

/* Also after a test that failed while it held them. */
static int teardown(void **state)
{
    let_go();
    atomic_store(&slow, false);
    fixture_stop(&f);
    return 0;
}

/* A widget whose colour has that many letters. */
static char *widget_of(const char *name, size_t n, const char *owner)
{
    char *colour = xmalloc(n + 1);

    memset(colour, 'c', n);
    colour[n] = '\0';
    char *body = xasprintf(WIDGET("%s", "{\"colour\":\"%s\",\"owner\":\"%s\"}"), name, colour, owner);
    free(colour);
    return body;
}

static long create(const char *name, size_t n)
{
    _cleanup_free_ char *body = widget_of(name, n, "");
    return CALL(&f, .method = "POST", .path = WIDGETS, .body = body)->code;
}

/* A user's own widget has the user's name. */
static struct watching *send_large(const char *user, int role, const char *type)
{
    _cleanup_free_ char *body = widget_of(user, 20000, user);
    return send_alone(
        &f, &(struct call){.method = "POST", .path = WIDGETS, .body = body, .user = user, .role = role, .type = type});
}

/* The answer of what was sent alone, once it is there. */
static void check_created(struct watching *w, const char *name)
{
    assert_string_equal(answer_str(expect(201, answer_of(w)), "metadata.name"), name);
}

static void a_large_body_holds_nobody(void **state)
{
    hold_workers(f.parsers);
    struct watching *json = send_large("json", 2, "application/json"),
                    *yaml = send_large("yaml", 2, "application/yaml");
    /* The event thread takes what came first first: that it answers this says that it waits for none of them. */
    expect(200, CALL(&f, .path = "/healthz"));
    assert_int_equal(create("small", 10), 201);
    expect(404, CALL(&f, .path = WIDGETS "/json"));
    assert_false(is_answered(json) || is_answered(yaml));
    let_go();
    check_created(json, "json");
    check_created(yaml, "yaml");
}

static void a_large_list_holds_nobody(void **state)
{
    static const char *const accepts[] = {TABLE, "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"};

    assert_int_equal(create("large", 140000), 201);
    hold_workers(f.parsers);
    struct watching *lists[3] = {
        send_alone(&f, &(struct call){.path = WIDGETS, .accept = accepts[0], .user = "a"}),
        send_alone(&f, &(struct call){.path = WIDGETS, .accept = accepts[1], .user = "b"}),
        send_alone(&f, &(struct call){.path = WIDGETS "?labelSelector=a%3Db", .user = "c"}),
    };
    expect(200, CALL(&f, .path = "/healthz"));
    /* As it is stored, one of them, and a small list of what is one's own: all at once. */
    expect(200, CALL(&f, .path = WIDGETS));
    expect(200, CALL(&f, .path = WIDGETS "?fieldSelector=metadata.name%3Dlarge", .accept = TABLE));
    for (size_t i = 0; i < 3; i++)
        assert_false(is_answered(lists[i]));
    let_go();
    for (size_t i = 0; i < 3; i++) {
        struct answer *a = expect(200, answer_of(lists[i]));
        assert_non_null(yyjson_obj_get(yyjson_doc_get_root(a->doc), i == 0 ? "rows" : "items"));
    }
}

/* A user's own are looked for in all; what is copied as it is may be larger. */
static void a_list_of_ones_own_is_parsed_too(void **state)
{
    assert_int_equal(create("large", 140000), 201);
    hold_workers(f.parsers);
    struct watching *own = send_alone(&f, &(struct call){.path = WIDGETS, .user = "a", .role = 2});
    expect(200, CALL(&f, .path = WIDGETS));
    expect(200, CALL(&f, .path = "/healthz"));
    assert_false(is_answered(own));
    let_go();
    expect(200, answer_of(own));
}

static void a_very_large_list_is_not_copied_at_once(void **state)
{
    assert_int_equal(create("large", 1100000), 201);
    hold_workers(f.parsers);
    struct watching *all = send_alone(&f, &(struct call){.path = WIDGETS});
    expect(200, CALL(&f, .path = "/healthz"));
    expect(200, CALL(&f, .path = "/healthz"));
    assert_false(is_answered(all));
    let_go();
    assert_int_equal(yyjson_arr_size(json_at(yyjson_doc_get_root(expect(200, answer_of(all))->doc), "items")), 1);
}

static void a_small_list_goes_at_once(void **state)
{
    assert_int_equal(create("small", 1000), 201);
    hold_workers(f.parsers);
    struct answer *a = expect(200, CALL(&f, .path = WIDGETS, .accept = TABLE));
    assert_true(answer_has(a, "\"rows\":[{"));
    expect(200, CALL(&f, .path = WIDGETS, .user = "a", .role = 2));
    let_go();
}

static void check_refused(const char *user)
{
    _cleanup_free_ char *body = widget_of(user, 20000, user);
    struct answer *a = expect(429, CALL(&f, .method = "POST", .path = WIDGETS, .body = body, .user = user, .role = 2));

    assert_string_equal(answer_str(a, "reason"), "TooManyRequests");
    assert_true(answer_has_header(a, "Retry-After: 1\r\n"));
}

/* The fixture has room for eight pieces, a quarter reserved, and for two of a user's. */
static void nobody_fills_the_queue(void **state)
{
    struct watching *sent[6];

    hold_workers(f.parsers);
    sent[0] = send_large("a", 2, NULL);
    sent[1] = send_large("a", 2, NULL);
    expect(200, CALL(&f, .path = "/healthz"));
    check_refused("a");
    sent[2] = send_large("b", 2, NULL);
    sent[3] = send_large("b", 2, NULL);
    sent[4] = send_large("c", 2, NULL);
    expect(200, CALL(&f, .path = "/healthz"));
    check_refused("d");
    sent[5] = send_large("boss", 1, NULL);
    expect(200, CALL(&f, .path = "/healthz"));
    let_go();
    check_created(sent[0], "a");
    expect(409, answer_of(sent[1]));
    check_created(sent[2], "b");
    expect(409, answer_of(sent[3]));
    check_created(sent[4], "c");
    check_created(sent[5], "boss");
    expect(404, CALL(&f, .path = WIDGETS "/d"));
}

static void passwords_have_a_queue_of_their_own(void **state)
{
    const char *body = WIDGET("a", "{\"secret\":\"s\",\"owner\":\"a\"}");

    hold_workers(f.workers);
    struct watching *large = send_large("large", 2, NULL);
    check_created(large, "large");
    struct watching *waiting[3];
    for (int i = 0; i < 2; i++)
        waiting[i] = send_alone(
            &f, &(struct call){.method = "POST", .path = WIDGETS, .body = body, .user = i ? "b" : "a", .role = 1});
    expect(200, CALL(&f, .path = "/healthz"));
    /* A user's has no room left; an administrator's takes the last. */
    struct answer *a = expect(429, CALL(&f, .method = "POST", .path = WIDGETS, .body = body, .user = "a", .role = 2));
    assert_true(answer_has(a, "try again later"));
    assert_true(answer_has_header(a, "Retry-After: 1\r\n"));
    waiting[2] =
        send_alone(&f, &(struct call){.method = "POST", .path = WIDGETS, .body = body, .user = "c", .role = 1});
    expect(200, CALL(&f, .path = "/healthz"));
    let_go();
    expect(201, answer_of(waiting[0]));
    expect(409, answer_of(waiting[1]));
    expect(409, answer_of(waiting[2]));
}

/* A worker's time is taken from the user's, as the event thread's is; an administrator's is not counted. */
static void their_time_is_charged(void **state)
{
    _cleanup_free_ char *body = widget_of("a", 20000, "a");
    const struct call small = {.path = WIDGETS, .user = "a", .role = 2};

    expect(200, call(&f, &small));
    atomic_store(&slow, true);
    expect(201, CALL(&f, .method = "POST", .path = WIDGETS, .body = body, .user = "a", .role = 2));
    assert_int_equal(create("large", 20000), 201);
    assert_true(answer_has(expect(429, call(&f, &small)), "too much of the server's time"));
    expect(200, CALL(&f, .path = WIDGETS, .user = "b", .role = 2));
    expect(200, CALL(&f, .path = WIDGETS));
}

static void a_server_that_stops_finishes_them(void **state)
{
    struct watching *w = send_large("late", 2, NULL);

    watch_free(w);
    fixture_restart(&f);
    expect(200, CALL(&f, .path = "/healthz"));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_large_body_holds_nobody),
        TEST(a_large_list_holds_nobody),
        TEST(a_small_list_goes_at_once),
        TEST(a_list_of_ones_own_is_parsed_too),
        TEST(a_very_large_list_is_not_copied_at_once),
        TEST(nobody_fills_the_queue),
        TEST(passwords_have_a_queue_of_their_own),
        TEST(their_time_is_charged),
        TEST(a_server_that_stops_finishes_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
