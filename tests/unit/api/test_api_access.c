/* Who may what: the three verdicts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "unit/api/client.h"

static struct fixture f;

static int setup(void **state)
{
    f = (struct fixture){0};
    fixture_start(&f);
    expect(201, CALL(&f, .method = "POST", .path = WIDGETS, .body = WIDGET("a1", "{\"owner\":\"anna\"}")));
    expect(201, CALL(&f, .method = "POST", .path = WIDGETS,
                     .body = WIDGET("b1", "{\"owner\":\"bert\",\"colour\":\"anna\"}")));
    expect(201, CALL(&f, .method = "POST", .path = WIDGETS, .body = WIDGET("n1", "{}")));
    return 0;
}

static int teardown(void **state)
{
    fixture_stop(&f);
    return 0;
}

#define ANNA .user = "anna", .role = 2
#define READER .user = "anna", .role = 4

static void nobody(void **state)
{
    struct answer *a = expect(401, CALL(&f, .path = WIDGETS, .role = -1));

    assert_string_equal(answer_str(a, "reason"), "Unauthorized");
    assert_string_equal(answer_str(a, "message"), "Unauthorized");
    assert_true(answer_has_header(a, "WWW-Authenticate: Bearer"));
    expect(401, CALL(&f, .path = WIDGETS "/a1", .role = -1));
    expect(401, CALL(&f, .path = WIDGETS "/a1/nothing", .role = -1));
    expect(401, CALL(&f, .path = "/apis", .role = -1));
    expect(401, CALL(&f, .path = "/apis/no/where", .role = -1));
    expect(401, CALL(&f, .method = "POST", .path = WIDGETS, .body = "not even JSON", .role = -1));
}

static void denied(void **state)
{
    struct answer *a = expect(403, CALL(&f, .path = WIDGETS "/a1", .user = "x", .role = 3));

    assert_string_equal(answer_str(a, "reason"), "Forbidden");
    assert_string_equal(
        answer_str(a, "message"),
        "widgets.test.example.io \"a1\" is forbidden: User \"x\" cannot get resource \"widgets\" in API group "
        "\"test.example.io\" at the cluster scope");
    a = expect(403, CALL(&f, .path = WIDGETS, .user = "x", .role = 3));
    assert_string_equal(answer_str(a, "message"),
                        "widgets.test.example.io is forbidden: User \"x\" cannot list resource "
                        "\"widgets\" in API group \"test.example.io\" at the cluster scope");
    a = expect(403, CALL(&f, .method = "PUT", .path = WIDGETS "/a1/status", .body = "{}", .user = "x", .role = 3));
    assert_true(strstr(answer_str(a, "message"), "cannot update resource \"widgets/status\"") != NULL);
    a = expect(403, CALL(&f, .path = "/metrics", .user = "x", .role = 3));
    assert_string_equal(answer_str(a, "message"), "forbidden: User \"x\" cannot get path \"/metrics\"");
}

static void own_reads(void **state)
{
    struct answer *a;

    expect(200, CALL(&f, .path = WIDGETS "/a1", ANNA));
    expect(403, CALL(&f, .path = WIDGETS "/b1", ANNA));
    expect(404, CALL(&f, .path = WIDGETS "/z1", ANNA));
    a = expect(200, CALL(&f, .path = WIDGETS, ANNA));
    assert_int_equal(yyjson_arr_size(json_at(yyjson_doc_get_root(a->doc), "items")), 1);
    assert_true(answer_has(a, "\"a1\""));
    a = expect(200, CALL(&f, .path = WIDGETS "?limit=1", ANNA));
    assert_int_equal(answer_int(a, "metadata.remainingItemCount"), -1);
    assert_string_equal(answer_str(a, "metadata.continue"), "(absent)");
    a = expect(200, CALL(&f, .path = WIDGETS "?fieldSelector=metadata.name%3Db1", ANNA));
    assert_int_equal(yyjson_arr_size(json_at(yyjson_doc_get_root(a->doc), "items")), 0);
    expect(403, CALL(&f, .method = "POST", .path = WIDGETS "/b1/ticket", ANNA));
    expect(404, CALL(&f, .method = "POST", .path = WIDGETS "/z1/ticket", ANNA));
    expect(201, CALL(&f, .method = "POST", .path = WIDGETS "/a1/ticket", ANNA));
}

/* Who may not create has no other way to learn which names are taken: nothing tells them apart. */
static void names_are_no_business_of_readers(void **state)
{
    char there[512], away[512];
    struct answer *a;

    expect(200, CALL(&f, .path = WIDGETS "/a1", READER));
    a = expect(403, CALL(&f, .path = WIDGETS "/b1", READER));
    snprintf(there, sizeof(there), "%s", a->body.p);
    a = expect(403, CALL(&f, .path = WIDGETS "/z1", READER));
    snprintf(away, sizeof(away), "%s", a->body.p);
    for (char *p = there; (p = strstr(p, "b1")); p++)
        *p = 'z';
    assert_string_equal(there, away);
    expect(403, CALL(&f, .method = "DELETE", .path = WIDGETS "/z1", READER));
    expect(403, CALL(&f, .method = "PATCH", .path = WIDGETS "/z1", .body = "{}", .type = "application/merge-patch+json",
                     READER));
    expect(403, CALL(&f, .method = "POST", .path = WIDGETS "/z1/ticket", READER));
}

static void own_writes(void **state)
{
    const char *merge = "application/merge-patch+json";

    expect(201, CALL(&f, .method = "POST", .path = WIDGETS, .body = WIDGET("a2", "{\"owner\":\"anna\"}"), ANNA));
    expect(403, CALL(&f, .method = "POST", .path = WIDGETS, .body = WIDGET("a3", "{\"owner\":\"bert\"}"), ANNA));
    expect(403, CALL(&f, .method = "POST", .path = WIDGETS, .body = WIDGET("a3", "{}"), ANNA));
    expect(200, CALL(&f, .method = "PUT", .path = WIDGETS "/a1",
                     .body = WIDGET("a1", "{\"owner\":\"anna\",\"size\":3}"), ANNA));
    expect(200,
           CALL(&f, .method = "PATCH", .path = WIDGETS "/a1", .body = "{\"spec\":{\"size\":4}}", .type = merge, ANNA));
    /* Not given away either. */
    expect(403, CALL(&f, .method = "PUT", .path = WIDGETS "/a1", .body = WIDGET("a1", "{\"owner\":\"bert\"}"), ANNA));
    expect(403, CALL(&f, .method = "PATCH", .path = WIDGETS "/a1", .body = "{\"spec\":{\"owner\":null}}", .type = merge,
                     ANNA));
    expect(403, CALL(&f, .method = "PUT", .path = WIDGETS "/b1", .body = WIDGET("b1", "{\"owner\":\"anna\"}"), ANNA));
    expect(403, CALL(&f, .method = "PATCH", .path = WIDGETS "/b1", .body = "{\"spec\":{\"owner\":\"anna\"}}",
                     .type = merge, ANNA));
    expect(404, CALL(&f, .method = "PATCH", .path = WIDGETS "/z1", .body = "{}", .type = merge, ANNA));
    expect(403, CALL(&f, .method = "DELETE", .path = WIDGETS "/b1", ANNA));
    expect(404, CALL(&f, .method = "DELETE", .path = WIDGETS "/z1", ANNA));
    expect(200, CALL(&f, .method = "DELETE", .path = WIDGETS "/a1", ANNA));
    /* Of a collection: one's own. */
    expect(200, CALL(&f, .method = "DELETE", .path = WIDGETS, ANNA));
    expect(404, CALL(&f, .path = WIDGETS "/a2"));
    expect(200, CALL(&f, .path = WIDGETS "/b1"));
    expect(200, CALL(&f, .path = WIDGETS "/n1"));
}

static void secrets_of_others_are_not_tried(void **state)
{
    int before = seen.prepared;

    expect(403, CALL(&f, .method = "PATCH", .path = WIDGETS "/b1", .body = "{\"spec\":{\"secret\":\"guess\"}}",
                     .type = "application/merge-patch+json", ANNA));
    assert_int_equal(seen.prepared, before);
}

static void own_watch(void **state)
{
    struct watching *w = watch_open(&f, &(struct call){.path = WIDGETS "?watch=1", ANNA});

    assert_string_equal(watch_next_text(w), "ADDED a1");
    expect(201, CALL(&f, .method = "POST", .path = WIDGETS, .body = WIDGET("b2", "{\"owner\":\"bert\"}")));
    expect(201, CALL(&f, .method = "POST", .path = WIDGETS, .body = WIDGET("a2", "{\"owner\":\"anna\"}")));
    assert_string_equal(watch_next_text(w), "ADDED a2");
    /* What is given to somebody else is gone; what the other one made of it is not told. */
    expect(200, CALL(&f, .method = "PUT", .path = WIDGETS "/a2",
                     .body = WIDGET("a2", "{\"owner\":\"bert\",\"colour\":\"private\"}")));
    _cleanup_json_ yyjson_doc *doc = watch_next(w);
    yyjson_val *root = yyjson_doc_get_root(doc);
    assert_string_equal(json_str_at(root, "type"), "DELETED");
    assert_string_equal(json_str_at(root, "object.spec.owner"), "anna");
    assert_null(json_at(root, "object.spec.colour"));
    expect(200, CALL(&f, .method = "DELETE", .path = WIDGETS "/b1"));
    expect(200, CALL(&f, .method = "DELETE", .path = WIDGETS "/a1"));
    assert_string_equal(watch_next_text(w), "DELETED a1");
    watch_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(nobody),     TEST(denied),
        TEST(own_reads),  TEST(names_are_no_business_of_readers),
        TEST(own_writes), TEST(secrets_of_others_are_not_tried),
        TEST(own_watch),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
