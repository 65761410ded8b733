/* get, create, update, patch, delete and /status: what is stored, and what the answer says. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "unit/api/client.h"

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

static struct answer *create(const char *body)
{
    return CALL(&f, .method = "POST", .path = WIDGETS, .body = body);
}

static struct answer *get(const char *path)
{
    return CALL(&f, .path = path);
}

static struct answer *patch(const char *path, const char *body)
{
    return CALL(&f, .method = "PATCH", .path = path, .body = body, .type = "application/merge-patch+json");
}

static void create_and_get(void **state)
{
    struct answer *a = expect(201, create(WIDGET("a", "{\"colour\":\"red\"}")));

    assert_string_equal(answer_str(a, "kind"), "Widget");
    assert_string_equal(answer_str(a, "metadata.name"), "a");
    assert_int_equal(strlen(answer_str(a, "metadata.uid")), 36);
    assert_int_equal(answer_int(a, "metadata.generation"), 1);
    assert_int_equal(answer_int(a, "spec.size"), 7);
    assert_true(answer_has_header(a, "Content-Type: application/json\r\n"));
    assert_true(answer_has_header(a, "Cache-Control: no-cache, private\r\n"));
    assert_true(answer_has_header(a, "Content-Length: "));
    uint64_t revision = answer_revision(a);
    assert_true(revision > 0);
    a = expect(200, get(WIDGETS "/a"));
    assert_int_equal(answer_revision(a), revision);
    assert_string_equal(answer_str(a, "spec.colour"), "red");
    expect(200, get(WIDGETS "/a/"));
    expect(200, CALL(&f, .method = "HEAD", .path = WIDGETS "/a"));
}

static void create_refusals(void **state)
{
    struct answer *a;

    expect(201, create(WIDGET("a", "{}")));
    a = expect(409, create(WIDGET("a", "{}")));
    assert_string_equal(answer_str(a, "reason"), "AlreadyExists");
    assert_string_equal(answer_str(a, "message"), "widgets.test.example.io \"a\" already exists");
    assert_string_equal(answer_str(a, "details.kind"), "widgets");
    assert_string_equal(answer_str(a, "details.name"), "a");
    assert_string_equal(answer_str(a, "details.group"), "test.example.io");
    a = expect(422, create(WIDGET("b", "{\"size\":1000}")));
    assert_string_equal(answer_str(a, "reason"), "Invalid");
    assert_string_equal(answer_str(a, "details.kind"), "Widget");
    assert_true(strncmp(answer_str(a, "message"), "Widget.test.example.io \"b\" is invalid: spec.size: ", 49) == 0);
    assert_true(answer_has(a, "\"field\":\"spec.size\""));
    expect(422, create(WIDGET("Not A Name", "{}")));
    a = expect(422, create("{\"apiVersion\":\"test.example.io/v1\",\"kind\":\"Widget\",\"metadata\":{},\"spec\":{}}"));
    expect(
        400,
        create(
            "{\"apiVersion\":\"test.example.io/v1\",\"kind\":\"Gadget\",\"metadata\":{\"name\":\"b\"},\"spec\":{}}"));
    expect(400, create("{\"apiVersion\":\"v2\",\"kind\":\"Widget\",\"metadata\":{\"name\":\"b\"},\"spec\":{}}"));
    a = expect(403, create(WIDGET("b", "{\"colour\":\"forbidden\"}")));
    assert_string_equal(answer_str(a, "message"), "no such colour here");
    expect(404, get(WIDGETS "/b"));
}

static void generate_name(void **state)
{
    struct answer *a = expect(201, create("{\"metadata\":{\"generateName\":\"g-\"},\"spec\":{}}"));

    assert_int_equal(strlen(answer_str(a, "metadata.name")), 7);
    assert_memory_equal(answer_str(a, "metadata.name"), "g-", 2);
}

static void create_from_yaml(void **state)
{
    expect(201,
           CALL(&f, .method = "POST", .path = WIDGETS, .type = "application/yaml",
                .body = "apiVersion: test.example.io/v1\nkind: Widget\nmetadata:\n  name: yam\nspec:\n  size: 9\n"));
    assert_int_equal(answer_int(get(WIDGETS "/yam"), "spec.size"), 9);
    expect(400, CALL(&f, .method = "POST", .path = WIDGETS, .type = "application/yaml", .body = "a: [b\n"));
}

static void create_ignores_status_and_outputs(void **state)
{
    struct answer *a = expect(201, create("{\"metadata\":{\"name\":\"a\",\"uid\":\"mine\",\"generation\":9},"
                                          "\"spec\":{\"address\":\"x\"},\"status\":{\"phase\":\"Large\"}}"));

    assert_string_equal(answer_str(a, "status.phase"), "(absent)");
    assert_string_equal(answer_str(a, "spec.address"), "(absent)");
    assert_int_equal(strlen(answer_str(a, "metadata.uid")), 36);
    assert_int_equal(answer_int(a, "metadata.generation"), 1);
}

static void secrets_are_taken_out(void **state)
{
    struct answer *a =
        expect(201, create("{\"metadata\":{\"name\":\"a\",\"annotations\":{\"kubectl.kubernetes.io/"
                           "last-applied-configuration\":\"{\\\"spec\\\":{\\\"secret\\\":\\\"hush-hush\\\"}}\"}},"
                           "\"spec\":{\"secret\":\"hush-hush\"}}"));
    size_t n;

    assert_false(answer_has(a, "hush-hush"));
    assert_int_equal(seen.prepared, 1);
    assert_string_equal(seen.secret, "hush-hush");
    char *stored = store_secret(f.store, "widget", str_from(answer_str(a, "metadata.uid")), &n);
    assert_string_equal(stored, "hash of hush-hush");
    free(stored);
    assert_false(answer_has(get(WIDGETS "/a"), "hush-hush"));

    uint64_t revision = answer_revision(expect(200, patch(WIDGETS "/a", "{\"spec\":{\"secret\":\"other-one\"}}")));
    assert_string_equal(seen.secret, "other-one");
    assert_int_equal(seen.prepared, 2);
    assert_false(answer_has(a = get(WIDGETS "/a"), "other-one"));
    /* Nothing that can be seen has changed. */
    assert_int_equal(answer_revision(a), revision);
    expect(200, patch(WIDGETS "/a", "{\"spec\":{\"secret\":null}}"));
    expect(200, patch(WIDGETS "/a", "{\"spec\":{\"secret\":\"\"}}"));
    assert_int_equal(seen.prepared, 2);
    a = expect(422, patch(WIDGETS "/a", "{\"spec\":{\"secret\":\"refuse\"}}"));
    assert_true(answer_has(a, "this one is refused"));
    expect(422, patch(WIDGETS "/a", "{\"spec\":{\"secret\":17}}"));
    /* /status takes no secrets. */
    expect(200, patch(WIDGETS "/a/status", "{\"spec\":{\"secret\":\"third\"},\"status\":{\"phase\":\"Small\"}}"));
    assert_int_equal(seen.prepared, 3); /* refuse */
    assert_string_equal(seen.secret, "other-one");
    /* Nobody's password is hashed for what is not there. */
    expect(404, patch(WIDGETS "/nobody", "{\"spec\":{\"secret\":\"x\"}}"));
    assert_int_equal(seen.prepared, 3);
}

static char *copy_body(const struct answer *a)
{
    return strdup(a->body.p);
}

static void update_with_locking(void **state)
{
    struct answer *a = expect(201, create(WIDGET("a", "{\"size\":1}")));
    char *first = copy_body(a), body[1024];
    uint64_t revision = answer_revision(a);

    snprintf(body, sizeof(body), "{\"metadata\":{\"name\":\"a\",\"resourceVersion\":\"%llu\"},\"spec\":{\"size\":2}}",
             (unsigned long long)revision);
    a = expect(200, CALL(&f, .method = "PUT", .path = WIDGETS "/a", .body = body));
    assert_int_equal(answer_int(a, "spec.size"), 2);
    assert_int_equal(answer_int(a, "metadata.generation"), 2);
    assert_true(answer_revision(a) > revision);
    a = expect(409, CALL(&f, .method = "PUT", .path = WIDGETS "/a", .body = first));
    assert_string_equal(answer_str(a, "reason"), "Conflict");
    assert_string_equal(
        answer_str(a, "message"),
        "Operation cannot be fulfilled on widgets.test.example.io \"a\": the object has been modified; please "
        "apply your changes to the latest version and try again");
    free(first);
    /* Without a revision nothing is locked. */
    a = expect(200, CALL(&f, .method = "PUT", .path = WIDGETS "/a", .body = WIDGET("a", "{\"size\":3}")));
    assert_int_equal(answer_int(a, "spec.size"), 3);
    expect(400, CALL(&f, .method = "PUT", .path = WIDGETS "/a", .body = WIDGET("b", "{}")));
    expect(404, CALL(&f, .method = "PUT", .path = WIDGETS "/b", .body = WIDGET("b", "{}")));
    expect(409, patch(WIDGETS "/a", "{\"metadata\":{\"resourceVersion\":\"1\"},\"spec\":{\"size\":4}}"));
    /* One from the future is of another, newer database. */
    expect(409, patch(WIDGETS "/a", "{\"metadata\":{\"resourceVersion\":\"1000000\"},\"spec\":{\"size\":4}}"));
    expect(409, CALL(&f, .method = "PUT", .path = WIDGETS "/a",
                     .body = "{\"metadata\":{\"name\":\"a\",\"resourceVersion\":\"1000000\"},\"spec\":{}}"));
    expect(409, patch(WIDGETS "/a", "{\"metadata\":{\"uid\":\"other\"}}"));
    expect(400, patch(WIDGETS "/a", "{\"metadata\":{\"name\":\"b\"}}"));
}

static void no_change_no_revision(void **state)
{
    struct answer *a = expect(201, create(WIDGET("a", "{\"size\":1,\"colour\":\"red\"}")));
    uint64_t revision = answer_revision(a);
    char *body = copy_body(a);

    a = expect(200, CALL(&f, .method = "PUT", .path = WIDGETS "/a", .body = body));
    assert_int_equal(answer_revision(a), revision);
    free(body);
    /* Members in another order are the same object. */
    a = expect(200, CALL(&f, .method = "PUT", .path = WIDGETS "/a",
                         .body = "{\"spec\":{\"colour\":\"red\",\"size\":1},\"metadata\":{\"name\":\"a\"}}"));
    assert_int_equal(answer_revision(a), revision);
    assert_int_equal(answer_revision(expect(200, patch(WIDGETS "/a", "{}"))), revision);
    assert_int_equal(store_revision(f.store), revision);
}

static void merge_patches(void **state)
{
    struct answer *a;

    expect(201, create(WIDGET("a", "{\"size\":1,\"colour\":\"red\"}")));
    a = expect(200,
               patch(WIDGETS "/a", "{\"metadata\":{\"labels\":{\"x\":\"y\"}},\"spec\":{\"colour\":null,\"size\":5}}"));
    assert_string_equal(answer_str(a, "metadata.labels.x"), "y");
    assert_string_equal(answer_str(a, "spec.colour"), "(absent)");
    assert_int_equal(answer_int(a, "spec.size"), 5);
    assert_int_equal(answer_int(a, "metadata.generation"), 2);
    a = expect(200, patch(WIDGETS "/a", "{\"metadata\":{\"labels\":null}}"));
    assert_int_equal(answer_int(a, "metadata.generation"), 2);
    expect(422, patch(WIDGETS "/a", "{\"spec\":{\"size\":0}}"));
    /* Output-only and status are not the client's. */
    a = expect(200, patch(WIDGETS "/a", "{\"spec\":{\"address\":\"mine\"},\"status\":{\"phase\":\"Large\"}}"));
    assert_string_equal(answer_str(a, "spec.address"), "(absent)");
    assert_string_equal(answer_str(a, "status.phase"), "(absent)");
    expect(404, patch(WIDGETS "/b", "{}"));
    a = expect(415,
               CALL(&f, .method = "PATCH", .path = WIDGETS "/a", .body = "[]", .type = "application/json-patch+json"));
    assert_true(answer_has(a, "application/merge-patch+json"));
    expect(415,
           CALL(&f, .method = "PATCH", .path = WIDGETS "/a", .body = "{}", .type = "application/apply-patch+yaml"));
    expect(415, CALL(&f, .method = "PATCH", .path = WIDGETS "/a", .body = "{}", .type = ""));
    expect(400, patch(WIDGETS "/a", "[]"));
}

static void immutable_fields(void **state)
{
    struct answer *a;

    expect(201, create(WIDGET("a", "{\"shape\":\"round\"}")));
    a = expect(422, patch(WIDGETS "/a", "{\"spec\":{\"shape\":\"square\"}}"));
    assert_true(answer_has(a, "spec.shape"));
    a = expect(200, CALL(&f, .method = "PUT", .path = WIDGETS "/a", .body = WIDGET("a", "{\"colour\":\"red\"}")));
    assert_string_equal(answer_str(a, "spec.shape"), "round");
}

static void status_alone(void **state)
{
    struct answer *a;

    expect(201, create(WIDGET("a", "{\"size\":1}")));
    a = expect(200, CALL(&f, .method = "PUT", .path = WIDGETS "/a/status",
                         .body = "{\"metadata\":{\"name\":\"a\",\"labels\":{\"x\":\"y\"}},\"spec\":{\"size\":9},"
                                 "\"status\":{\"phase\":\"Small\"}}"));
    assert_string_equal(answer_str(a, "status.phase"), "Small");
    assert_string_equal(answer_str(a, "metadata.labels.x"), "(absent)");
    assert_int_equal(answer_int(a, "spec.size"), 1);
    assert_int_equal(answer_int(a, "metadata.generation"), 1);
    /* The hook wrote an output field along with it. */
    assert_string_equal(answer_str(a, "spec.address"), "somewhere");
    a = expect(200, patch(WIDGETS "/a/status", "{\"status\":{\"phase\":\"Large\"}}"));
    assert_string_equal(answer_str(a, "status.phase"), "Large");
    expect(422, patch(WIDGETS "/a/status", "{\"status\":{\"phase\":\"Huge\"}}"));
    assert_string_equal(answer_str(expect(200, get(WIDGETS "/a/status")), "status.phase"), "Large");
    /* And the main resource keeps both. */
    a = expect(200, CALL(&f, .method = "PUT", .path = WIDGETS "/a", .body = WIDGET("a", "{\"size\":2}")));
    assert_string_equal(answer_str(a, "status.phase"), "Large");
    assert_string_equal(answer_str(a, "spec.address"), "somewhere");
    expect(405, CALL(&f, .method = "DELETE", .path = WIDGETS "/a/status"));
}

static void delete_at_once(void **state)
{
    struct answer *a = expect(201, create(WIDGET("a", "{}")));
    char uid[64];

    snprintf(uid, sizeof(uid), "%s", answer_str(a, "metadata.uid"));
    a = expect(200, CALL(&f, .method = "DELETE", .path = WIDGETS "/a"));
    assert_string_equal(answer_str(a, "kind"), "Status");
    assert_string_equal(answer_str(a, "status"), "Success");
    assert_string_equal(answer_str(a, "details.uid"), uid);
    assert_string_equal(answer_str(a, "details.kind"), "widgets");
    assert_int_equal(seen.removed, 1);
    expect(404, get(WIDGETS "/a"));
    a = expect(404, CALL(&f, .method = "DELETE", .path = WIDGETS "/a"));
    assert_string_equal(answer_str(a, "message"), "widgets.test.example.io \"a\" not found");
    expect(201, create(WIDGET("a", "{\"colour\":\"keep\"}")));
    expect(403, CALL(&f, .method = "DELETE", .path = WIDGETS "/a"));
}

static void delete_with_finalizer(void **state)
{
    struct answer *a = expect(201, create(WIDGET("a", "{\"hold\":true}")));

    a = expect(200,
               CALL(&f, .method = "DELETE", .path = WIDGETS "/a",
                    .body = "{\"kind\":\"DeleteOptions\",\"apiVersion\":\"v1\",\"propagationPolicy\":\"Background\","
                            "\"gracePeriodSeconds\":0}"));
    assert_string_equal(answer_str(a, "kind"), "Widget");
    assert_int_equal(strlen(answer_str(a, "metadata.deletionTimestamp")), 20);
    assert_int_equal(answer_int(a, "metadata.deletionGracePeriodSeconds"), 0);
    uint64_t revision = answer_revision(a);
    a = expect(200, CALL(&f, .method = "DELETE", .path = WIDGETS "/a"));
    assert_int_equal(answer_revision(a), revision);
    a = expect(409, create(WIDGET("a", "{}")));
    assert_string_equal(answer_str(a, "message"),
                        "object is being deleted: widgets.test.example.io \"a\" already exists");
    assert_string_equal(answer_str(a, "reason"), "AlreadyExists");
    expect(422,
           patch(WIDGETS "/a", "{\"metadata\":{\"finalizers\":[\"test.example.io/hold\",\"test.example.io/more\"]}}"));
    assert_int_equal(seen.removed, 0);
    a = expect(200, patch(WIDGETS "/a", "{\"metadata\":{\"finalizers\":null}}"));
    assert_string_equal(answer_str(a, "kind"), "Widget");
    assert_true(answer_revision(a) > revision);
    assert_int_equal(seen.removed, 1);
    expect(404, get(WIDGETS "/a"));
    expect(201, create(WIDGET("a", "{}")));
}

static void delete_preconditions(void **state)
{
    struct answer *a = expect(201, create(WIDGET("a", "{}")));
    char body[256];
    unsigned long long revision = answer_revision(a);

    a = expect(409, CALL(&f, .method = "DELETE", .path = WIDGETS "/a", .body = "{\"preconditions\":{\"uid\":\"x\"}}"));
    assert_true(answer_has(a, "Precondition failed: UID in precondition: x, UID in object meta: "));
    expect(409, CALL(&f, .method = "DELETE", .path = WIDGETS "/a",
                     .body = "{\"preconditions\":{\"resourceVersion\":\"1000\"}}"));
    expect(400, CALL(&f, .method = "DELETE", .path = WIDGETS "/a", .body = "{\"kind\":\"Widget\"}"));
    expect(400, CALL(&f, .method = "DELETE", .path = WIDGETS "/a", .body = "{\"preconditions\":{\"uid\":7}}"));
    expect(400, CALL(&f, .method = "DELETE", .path = WIDGETS "/a?propagationPolicy=Sometimes"));
    static const char *const policies[] = {"Background", "Foreground", "Orphan"};
    for (size_t i = 0; i < ARRAY_SIZE(policies); i++) {
        char path[128];
        snprintf(path, sizeof(path), WIDGETS "/a?dryRun=All&propagationPolicy=%s", policies[i]);
        expect(200, CALL(&f, .method = "DELETE", .path = path));
    }
    expect(400, CALL(&f, .method = "DELETE", .path = WIDGETS "/a?gracePeriodSeconds=soon"));
    snprintf(body, sizeof(body), "{\"preconditions\":{\"resourceVersion\":\"%llu\"}}", revision);
    expect(200, CALL(&f, .method = "DELETE", .path = WIDGETS "/a", .body = body));
}

static void delete_collection(void **state)
{
    struct answer *a;

    expect(201, create("{\"metadata\":{\"name\":\"a\",\"labels\":{\"k\":\"1\"}},\"spec\":{}}"));
    expect(201, create("{\"metadata\":{\"name\":\"b\",\"labels\":{\"k\":\"1\"}},\"spec\":{\"hold\":true}}"));
    expect(201, create("{\"metadata\":{\"name\":\"c\",\"labels\":{\"k\":\"2\"}},\"spec\":{}}"));
    a = expect(200, CALL(&f, .method = "DELETE", .path = WIDGETS "?labelSelector=k%3D1"));
    assert_string_equal(answer_str(a, "kind"), "WidgetList");
    assert_int_equal(yyjson_arr_size(json_at(yyjson_doc_get_root(a->doc), "items")), 2);
    expect(404, get(WIDGETS "/a"));
    assert_int_equal(strlen(answer_str(get(WIDGETS "/b"), "metadata.deletionTimestamp")), 20);
    expect(200, get(WIDGETS "/c"));
    /* All or none. */
    expect(201, create(WIDGET("d", "{\"colour\":\"keep\"}")));
    expect(201, create(WIDGET("e", "{}")));
    expect(403, CALL(&f, .method = "DELETE", .path = WIDGETS));
    expect(200, get(WIDGETS "/c"));
    expect(200, get(WIDGETS "/e"));
}

static void dry_runs(void **state)
{
    struct answer *a =
        expect(201, CALL(&f, .method = "POST", .path = WIDGETS "?dryRun=All", .body = WIDGET("a", "{}")));
    uint64_t revision;

    assert_string_equal(answer_str(a, "metadata.resourceVersion"), "(absent)");
    assert_true(seen.dry_run);
    expect(404, get(WIDGETS "/a"));
    expect(422, CALL(&f, .method = "POST", .path = WIDGETS "?dryRun=All", .body = WIDGET("a", "{\"size\":0}")));
    expect(400, CALL(&f, .method = "POST", .path = WIDGETS "?dryRun=Some", .body = WIDGET("a", "{}")));
    expect(201, CALL(&f, .method = "POST", .path = WIDGETS "?dryRun=All", .body = WIDGET("a", "{\"secret\":\"s\"}")));
    revision = answer_revision(expect(201, create(WIDGET("a", "{\"hold\":true}"))));
    expect(409, CALL(&f, .method = "POST", .path = WIDGETS "?dryRun=All", .body = WIDGET("a", "{}")));
    a = expect(200, CALL(&f, .method = "PUT", .path = WIDGETS "/a?dryRun=All", .body = WIDGET("a", "{\"size\":50}")));
    assert_int_equal(answer_int(a, "spec.size"), 50);
    a = expect(200, CALL(&f, .method = "PATCH", .path = WIDGETS "/a?dryRun=All", .body = "{\"spec\":{\"size\":51}}",
                         .type = "application/merge-patch+json"));
    assert_int_equal(answer_int(a, "spec.size"), 51);
    a = expect(200, CALL(&f, .method = "PATCH", .path = WIDGETS "/a/status?dryRun=All",
                         .body = "{\"status\":{\"phase\":\"Large\"}}", .type = "application/merge-patch+json"));
    assert_string_equal(answer_str(a, "status.phase"), "Large");
    a = expect(200, CALL(&f, .method = "DELETE", .path = WIDGETS "/a?dryRun=All"));
    assert_int_equal(strlen(answer_str(a, "metadata.deletionTimestamp")), 20);
    expect(200, CALL(&f, .method = "DELETE", .path = WIDGETS "/a", .body = "{\"dryRun\":[\"All\"]}"));
    expect(400, CALL(&f, .method = "DELETE", .path = WIDGETS "/a", .body = "{\"dryRun\":[\"None\"]}"));
    a = expect(200, get(WIDGETS "/a"));
    assert_int_equal(answer_revision(a), revision);
    assert_int_equal(store_revision(f.store), revision);
}

static void field_validation(void **state)
{
    const char *body = "{\"metadata\":{\"name\":\"a\"},\"spec\":{\"foo\":1,\"colour\":\"x\",\"colour\":\"red\"}}";
    struct answer *a = expect(400, CALL(&f, .method = "POST", .path = WIDGETS "?fieldValidation=Strict", .body = body));

    assert_string_equal(answer_str(a, "message"),
                        "strict decoding error: unknown field \"spec.foo\", duplicate field \"spec.colour\"");
    assert_string_equal(answer_str(a, "reason"), "BadRequest");
    a = expect(201, create(body));
    assert_true(answer_has_header(a, "Warning: 299 - \"unknown field \\\"spec.foo\\\"\"\r\n"));
    assert_true(answer_has_header(a, "Warning: 299 - \"duplicate field \\\"spec.colour\\\"\"\r\n"));
    assert_string_equal(answer_str(a, "spec.colour"), "red");
    assert_false(answer_has(a, "foo"));
    a = expect(200, CALL(&f, .method = "PUT", .path = WIDGETS "/a?fieldValidation=Ignore", .body = body));
    assert_false(answer_has_header(a, "Warning"));
    a = expect(200, patch(WIDGETS "/a", "{\"spec\":{\"bar\":1}}"));
    assert_true(answer_has_header(a, "Warning: 299 - \"unknown field \\\"spec.bar\\\"\"\r\n"));
    a = expect(400, CALL(&f, .method = "PATCH", .path = WIDGETS "/a?fieldValidation=Strict",
                         .body = "{\"spec\":{\"bar\":1}}", .type = "application/merge-patch+json"));
    expect(400, CALL(&f, .method = "POST", .path = WIDGETS "?fieldValidation=Maybe", .body = body));
}

static void hook_warnings(void **state)
{
    struct answer *a = expect(201, create(WIDGET("a", "{\"colour\":\"odd\"}")));

    assert_true(answer_has_header(a, "Warning: 299 - \"an odd \\\"colour\\\" \"\r\n"));
}

static void many_findings_are_bounded(void **state)
{
    struct buffer b = BUFFER_MAX((size_t)4 << 20);

    buffer_puts(&b, "{\"metadata\":{\"name\":\"a\"},\"spec\":{");
    for (int i = 0; i < 100000; i++)
        buffer_printf(&b, "\"field%d\":%d,", i, i);
    buffer_puts(&b, "\"size\":3}}");
    struct answer *a = expect(201, create(b.p));
    assert_true(answer_has_header(a, "Warning: 299"));
    assert_true(a->headers.n < 16384);
    expect(400, CALL(&f, .method = "PUT", .path = WIDGETS "/a?fieldValidation=Strict", .body = b.p));
    buffer_free(&b);
}

static void own_subresources(void **state)
{
    struct answer *a;

    expect(201, create(WIDGET("a", "{}")));
    a = expect(201, CALL(&f, .method = "POST", .path = WIDGETS "/a/ticket", .user = "me"));
    assert_true(answer_has(a, "a for me"));
    expect(201, CALL(&f, .method = "PUT", .path = WIDGETS "/a/endpoint", .body = "{}"));
    expect(404, CALL(&f, .method = "POST", .path = WIDGETS "/b/ticket"));
    a = expect(405, get(WIDGETS "/a/ticket"));
    assert_true(answer_has_header(a, "Allow: POST\r\n"));
    expect(404, get(WIDGETS "/a/nothing"));
    a = expect(200, get("/apis/test.example.io/v1"));
    assert_true(answer_has(a, "widgets/ticket"));
    assert_false(answer_has(a, "endpoint"));
}

/* More than is collected of any other body: it goes through a sink, and is held nowhere. */
static void a_body_that_streams(void **state)
{
    size_t n = (size_t)10 << 20;
    _cleanup_free_ char *large = xmalloc(n + 1);
    const char *other = "/apis/test.example.io/v1/widgets/a/endpoint";

    memset(large, 'x', n);
    large[n] = '\0';
    expect(201, create(WIDGET("a", "{}")));
    struct answer *a = expect(200, CALL(&f, .method = "PUT", .path = WIDGETS "/a/content", .body = large));
    assert_true(answer_has(a, "10485760 bytes"));
    a = expect(200, CALL(&f, .method = "PUT", .path = WIDGETS "/a/content", .body = ""));
    assert_true(answer_has(a, "0 bytes"));
    expect(413, CALL(&f, .method = "PUT", .path = other, .body = large));
    /* Refused before any of it is read. */
    expect(404, CALL(&f, .method = "PUT", .path = WIDGETS "/b/content", .body = large));
    expect(405, CALL(&f, .method = "POST", .path = WIDGETS "/a/content", .body = "x"));
}

static void refuses_to_start(const struct kind_hooks *hooks, const char *why)
{
    struct error *err = NULL;
    struct api_resource resource = {f.widget, hooks};
    struct api_options options = {.store = f.store, .resources = &resource, .resources_len = 1, .workers = f.workers};

    assert_null(api_new(&options, &err));
    assert_string_equal(err->message, why);
    error_free(err);
}

static void handle_nothing(struct request *r, struct object *object, void *context)
{
}

/* What the definition names, and who answers it, are two halves of one thing. */
static void subresources_have_two_halves(void **state)
{
    static const struct subresource_handler few[] = {{"ticket", FLOW_REQUESTS, handle_nothing}, {0}},
                                            many[] = {{"ticket", FLOW_REQUESTS, handle_nothing},
                                                      {"endpoint", FLOW_REQUESTS, handle_nothing},
                                                      {"content", FLOW_REQUESTS, handle_nothing},
                                                      {"other", FLOW_REQUESTS, handle_nothing},
                                                      {0}};

    refuses_to_start(NULL, "nobody answers the subresource widgets/ticket");
    refuses_to_start(&(struct kind_hooks){.subresources = few}, "nobody answers the subresource widgets/content");
    refuses_to_start(&(struct kind_hooks){.subresources = many},
                     "the definition of widgets does not name the subresource other");
}

static void everything_survives_a_restart(void **state)
{
    struct answer *a = expect(201, create(WIDGET("a", "{\"secret\":\"s\"}")));
    uint64_t revision = answer_revision(a);

    fixture_restart(&f);
    assert_int_equal(answer_revision(expect(200, get(WIDGETS "/a"))), revision);
    assert_true(answer_revision(expect(201, create(WIDGET("b", "{}")))) > revision);
}

/* Writes that are still on their way when the server stops are answered or cut off, and touch nothing that is gone. */
static void stops_under_writes(void **state)
{
    for (int round = 0; round < 5; round++) {
        struct watching *sent[40];
        for (size_t i = 0; i < ARRAY_SIZE(sent); i++) {
            char body[128];
            snprintf(body, sizeof(body), "{\"metadata\":{\"name\":\"w%d-%zu\"},\"spec\":{%s}}", round, i,
                     i % 4 ? "" : "\"secret\":\"s\"");
            sent[i] = send_alone(&f, &(struct call){.method = "POST", .path = WIDGETS, .body = body});
        }
        fixture_restart(&f);
        for (size_t i = 0; i < ARRAY_SIZE(sent); i++)
            watch_free(sent[i]);
    }
    expect(200, get(WIDGETS));
}

static int ship(struct store_txn *t, void *arg, struct error **err)
{
    struct identity who = {.name = "system:server", .role = 1};
    yyjson_doc *doc = json_parse(str_from(arg), err);
    int rc = api_create_in_txn(f.api, t, f.widget, yyjson_doc_get_root(doc), &who, err);

    yyjson_doc_free(doc);
    return rc;
}

static void created_by_the_server(void **state)
{
    struct error *err = NULL;
    char good[] = WIDGET("shipped", "{\"secret\":\"s3\",\"colour\":\"odd\"}"), bad[] = WIDGET("bad", "{\"size\":0}");

    assert_int_equal(store_run(f.store, ship, good, &err), 0);
    assert_string_equal(seen.secret, "s3");
    assert_int_equal(answer_int(expect(200, get(WIDGETS "/shipped")), "spec.size"), 7);
    assert_int_equal(store_run(f.store, ship, good, &err), -1);
    assert_int_equal(err->reason, REASON_ALREADY_EXISTS);
    error_free(steal_ptr(err));
    assert_int_equal(store_run(f.store, ship, bad, &err), -1);
    assert_int_equal(err->reason, REASON_INVALID);
    error_free(err);
}

/* Messages and warnings are shown in terminals: what was sent is quoted in them without what steers one. */
static void nothing_steers_a_terminal(void **state)
{
    struct answer *a = expect(404, CALL(&f, .path = WIDGETS "/a%1B%5B31m%C2%9Bb%E2%80%AE"));

    assert_string_equal(answer_str(a, "details.name"), "a?[31m?b?");
    assert_true(answer_has(a, "\\\"a?[31m?b?\\\" not found"));
    a = expect(201,
               CALL(&f, .method = "POST", .path = WIDGETS, .body = WIDGET("w", "{\"x\\u001b\\u009b\\u202ey\":1}")));
    assert_true(answer_has_header(a, "Warning: 299 - \"unknown field \\\"spec.x???y\\\"\"\r\n"));
}

struct gate {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool begun, open;
};

static void wait_at(void *arg)
{
    struct gate *gate = arg;

    pthread_mutex_lock(&gate->lock);
    gate->begun = true;
    pthread_cond_broadcast(&gate->changed);
    while (!gate->open)
        pthread_cond_wait(&gate->changed, &gate->lock);
    pthread_mutex_unlock(&gate->lock);
}

/* Who has to come again is told when; who sends no secret need not. */
static void workers_are_busy(void **state)
{
    static struct gate gate = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false, false};

    const struct work work = {.fn = wait_at, .arg = &gate, .owner = "", .reserved = true};

    assert_int_equal(workers_submit(f.workers, &work), 0);
    pthread_mutex_lock(&gate.lock);
    while (!gate.begun)
        pthread_cond_wait(&gate.changed, &gate.lock);
    pthread_mutex_unlock(&gate.lock);
    while (workers_submit(f.workers, &work) == 0)
        ;
    struct answer *a = expect(429, create(WIDGET("a", "{\"secret\":\"s\"}")));
    assert_string_equal(answer_str(a, "reason"), "TooManyRequests");
    assert_true(answer_has_header(a, "Retry-After: 1\r\n"));
    expect(201, create(WIDGET("b", "{}")));
    pthread_mutex_lock(&gate.lock);
    gate.open = true;
    pthread_cond_broadcast(&gate.changed);
    pthread_mutex_unlock(&gate.lock);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(create_and_get),
        TEST(create_refusals),
        TEST(generate_name),
        TEST(create_from_yaml),
        TEST(create_ignores_status_and_outputs),
        TEST(secrets_are_taken_out),
        TEST(update_with_locking),
        TEST(no_change_no_revision),
        TEST(merge_patches),
        TEST(immutable_fields),
        TEST(status_alone),
        TEST(delete_at_once),
        TEST(delete_with_finalizer),
        TEST(delete_preconditions),
        TEST(delete_collection),
        TEST(dry_runs),
        TEST(field_validation),
        TEST(hook_warnings),
        TEST(many_findings_are_bounded),
        TEST(own_subresources),
        TEST(a_body_that_streams),
        TEST(subresources_have_two_halves),
        TEST(everything_survives_a_restart),
        TEST(stops_under_writes),
        TEST(created_by_the_server),
        TEST(nothing_steers_a_terminal),
        TEST(workers_are_busy),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
