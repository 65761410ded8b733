/* How large an object may be, by its kind and by who writes it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "unit/api/client.h"

/* widget.c */
#define OWNER_MAX 32768
#define MAX 2621440

#define PATCH "application/merge-patch+json"

static struct fixture f;

static int setup(void **state)
{
    f = (struct fixture){0};
    fixture_start(&f);
    return 0;
}

static int teardown(void **state)
{
    fixture_stop(&f);
    return 0;
}

static char *text_of(size_t n)
{
    char *text = xmalloc(n + 1);

    memset(text, 'x', n);
    text[n] = '\0';
    return text;
}

/* Widget «me» of «me», whose colour has that many letters; role 2 is its owner. */
static struct answer *create(int role, size_t n, bool hold)
{
    _cleanup_free_ char *text = text_of(n);
    _cleanup_free_ char *body =
        xasprintf(WIDGET("me", "{\"owner\":\"me\",\"colour\":\"%s\",\"hold\":%s}"), text, hold ? "true" : "false");

    return CALL(&f, .method = "POST", .path = WIDGETS, .body = body, .user = "me", .role = role);
}

static struct answer *patch(int role, const char *path, const char *field, size_t n)
{
    _cleanup_free_ char *text = text_of(n);
    _cleanup_free_ char *body =
        xasprintf("{\"%s\":{\"%s\":\"%s\"}}", ends_with(path, "/status") ? "status" : "spec", field, text);

    return CALL(&f, .method = "PATCH", .path = path, .body = body, .type = PATCH, .user = "me", .role = role);
}

static void take_away(void)
{
    expect(200, CALL(&f, .method = "DELETE", .path = WIDGETS "/me"));
}

/* So many letters that the object has exactly `size` bytes (its revision has one digit). */
static size_t letters_for(size_t size)
{
    expect(201, create(1, 100, false));
    size_t n = 100 + size - CALL(&f, .path = WIDGETS "/me")->body.n;
    take_away();
    return n;
}

static void an_owner_has_less(void **state)
{
    size_t n = letters_for(OWNER_MAX);

    expect(201, create(2, n, false));
    assert_int_equal(CALL(&f, .path = WIDGETS "/me")->body.n, OWNER_MAX);
    take_away();
    struct answer *a = expect(413, create(2, n + 1, false));
    assert_string_equal(answer_str(a, "reason"), "RequestEntityTooLarge");
    assert_true(answer_has(a, "would have 32769 bytes (spec.colour has "));
    assert_true(answer_has(a, "at most 32768 are allowed without an administrator"));
    expect(404, CALL(&f, .path = WIDGETS "/me"));
    expect(201, create(1, n + 1, false));
}

static void an_object_grows_no_further(void **state)
{
    expect(201, create(2, 20000, false));
    expect(413, patch(2, WIDGETS "/me", "colour", OWNER_MAX));
    expect(200, patch(2, WIDGETS "/me", "colour", 20001));
    /* One that an administrator made larger may be mended, not enlarged. */
    expect(200, patch(1, WIDGETS "/me", "colour", 40000));
    expect(413, patch(2, WIDGETS "/me", "colour", 40001));
    expect(200, patch(2, WIDGETS "/me", "colour", 39999));
    expect(200, patch(2, WIDGETS "/me", "colour", 10));
    expect(413, patch(2, WIDGETS "/me", "colour", 39999));
}

static void an_administrator_has_a_limit_too(void **state)
{
    expect(201, create(1, 2000000, false));
    struct answer *a = expect(413, patch(1, WIDGETS "/me", "owner", 700000));
    assert_true(answer_has(a, "(spec.colour has 2000002); at most 2621440 are allowed\""));
    take_away();
    expect(413, create(1, MAX, false));
}

static void the_status_is_counted_by_itself(void **state)
{
    expect(201, create(2, 20000, false));
    expect(200, patch(1, WIDGETS "/me/status", "note", 2600000));
    /* The owner did not write it. */
    expect(200, patch(2, WIDGETS "/me", "colour", 20002));
    expect(413, patch(2, WIDGETS "/me", "colour", 40000));
    expect(200, patch(1, WIDGETS "/me", "colour", 500000));
    struct answer *a = expect(413, patch(1, WIDGETS "/me/status", "note", 2621500));
    assert_true(answer_has(a, "the status would have"));
    assert_true(answer_has(a, "(status.note has 2621502)"));
    expect(200, patch(1, WIDGETS "/me/status", "note", 2600001));
}

static void what_is_full_can_be_deleted(void **state)
{
    expect(201, create(1, 100, true));
    size_t n = 100 + OWNER_MAX - CALL(&f, .path = WIDGETS "/me")->body.n;
    /* The tests' hook holds it by a finalizer: a deletion adds a time. */
    take_away();
    expect(200, CALL(&f, .method = "PATCH", .path = WIDGETS "/me", .body = "{\"metadata\":{\"finalizers\":null}}",
                     .type = PATCH));
    expect(201, create(2, n, true));
    struct answer *a = expect(200, CALL(&f, .method = "DELETE", .path = WIDGETS "/me", .user = "me", .role = 2));
    assert_true(answer_has(a, "deletionTimestamp"));
    assert_true(a->body.n > OWNER_MAX);
}

static void a_field_has_its_own(void **state)
{
    _cleanup_free_ char *text = text_of(1000);
    _cleanup_free_ char *body = xasprintf(WIDGET("me", "{\"owner\":\"me\",\"box\":{\"k\":\"%s\"}}"), text);

    for (int role = 1; role <= 2; role++) {
        struct answer *a =
            expect(422, CALL(&f, .method = "POST", .path = WIDGETS, .body = body, .user = "me", .role = role));
        assert_true(answer_has(a, "spec.box: Too long: has 1008 bytes of JSON; at most 1000 are allowed"));
    }
}

/* A body with so many blanks that it has n bytes. */
static struct answer *send_body(const char *path, int role, size_t n)
{
    const char *body = WIDGET("me", "{\"owner\":\"me\"}");
    _cleanup_free_ char *text = xasprintf("%*s", (int)n, body);

    return CALL(&f, .method = "POST", .path = path, .body = text, .user = "me", .role = role);
}

static void bodies_are_bounded(void **state)
{
    struct answer *a = expect(413, send_body(WIDGETS, 2, (size_t)4 * OWNER_MAX + 1));

    assert_true(answer_has(a, "the body has 131073 bytes; at most 131072 are read here"));
    expect(201, send_body(WIDGETS, 2, (size_t)4 * OWNER_MAX));
    expect(413, send_body(WIDGETS "/me/ticket", 1, 65537));
    expect(201, send_body(WIDGETS "/me/ticket", 1, 65536));
    take_away();
    expect(201, send_body(WIDGETS, 1, 3000000));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(an_owner_has_less),
        TEST(an_object_grows_no_further),
        TEST(an_administrator_has_a_limit_too),
        TEST(the_status_is_counted_by_itself),
        TEST(what_is_full_can_be_deleted),
        TEST(a_field_has_its_own),
        TEST(bodies_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
