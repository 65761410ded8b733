/* Patch types are a table: here with one more, whose patches are lists of operations. */
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/thread.h"
#include "server/model/merge_patch.h"
#include "unit/api/client.h"

#define LIST_TYPE "application/x-list+json"

/* --- The type: [["set", PATH, value], ["copy", PATH, FROM]] below spec --- */

static yyjson_doc *parse_list(struct str body, struct error **err)
{
    yyjson_doc *doc = json_parse(body, err);

    if (doc && !yyjson_is_arr(yyjson_doc_get_root(doc))) {
        yyjson_doc_free(doc);
        doc = NULL;
        (void)error_set(err, REASON_BAD_REQUEST, "a list of operations is expected");
    }
    return doc;
}

static atomic_uint applied;

static yyjson_mut_val *apply_list(yyjson_mut_doc *doc, yyjson_val *old, yyjson_val *patch, struct error **err)
{
    yyjson_mut_val *object = yyjson_val_mut_copy(doc, old), *spec = json_mut_make_obj(doc, object, "spec");
    yyjson_val *one;
    size_t i, n;

    atomic_fetch_add(&applied, 1);
    yyjson_arr_foreach (patch, i, n, one) {
        const char *key = yyjson_get_str(yyjson_arr_get(one, 1));
        yyjson_val *value = yyjson_arr_get(one, 2);
        if (yyjson_equals_str(yyjson_arr_get_first(one), "copy")) {
            value = yyjson_obj_get(yyjson_obj_get(old, "spec"), yyjson_get_str(value));
            if (value == NULL) {
                (void)error_set(err, REASON_INVALID, "there is nothing to copy");
                return NULL;
            }
        }
        json_mut_set(doc, spec, key, yyjson_val_mut_copy(doc, value));
    }
    return object;
}

static const struct patch_type list_type = {.media_type = LIST_TYPE, .parse = parse_list, .apply = apply_list};
const struct patch_type *const patch_types[] = {&merge_patch_type, &list_type, NULL};

/* --- The tests --- */

static struct fixture f;

static int setup(void **state)
{
    applied = 0;
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

static struct answer *patch_list(const char *body)
{
    return CALL(&f, .method = "PATCH", .path = WIDGETS "/a", .type = LIST_TYPE, .body = body);
}

static void one_more_type(void **state)
{
    expect(201, create(WIDGET("a", "{\"colour\":\"red\"}")));
    struct answer *a = expect(200, patch_list("[[\"set\",\"size\",9]]"));
    assert_int_equal(answer_int(a, "spec.size"), 9);
    assert_string_equal(answer_str(a, "spec.colour"), "red");
    expect(422, patch_list("[[\"set\",\"size\",900]]"));
    expect(422, patch_list("[[\"copy\",\"size\",\"nothing\"]]"));
    expect(400, patch_list("{}"));
    expect(400, patch_list(""));
    a = expect(200, CALL(&f, .method = "PATCH", .path = WIDGETS "/a", .type = "application/merge-patch+json",
                         .body = "{\"spec\":{\"colour\":null}}"));
    assert_string_equal(answer_str(a, "spec.colour"), "(absent)");
    assert_int_equal(answer_int(a, "spec.size"), 9);
}

static void is_named_where_types_are(void **state)
{
    expect(201, create(WIDGET("a", "{}")));
    struct answer *a = expect(
        415, CALL(&f, .method = "PATCH", .path = WIDGETS "/a", .type = "application/json-patch+json", .body = "[]"));
    assert_true(answer_has_header(a, "Accept-Patch: application/merge-patch+json, " LIST_TYPE "\r\n"));
    assert_true(answer_has(a, "application/merge-patch+json, " LIST_TYPE));
    a = expect(200, CALL(&f, .path = "/openapi/v3/apis/test.example.io/v1"));
    assert_true(answer_has(a, "\"" LIST_TYPE "\""));
}

/* A write-only field is set by what a patch makes of the object, in whatever words it says so. */
static void secrets_come_of_the_result(void **state)
{
    expect(201, create(WIDGET("a", "{\"colour\":\"scarlet\"}")));
    struct answer *a = expect(200, patch_list("[[\"set\",\"secret\",\"hush-hush\"]]"));
    assert_false(answer_has(a, "hush-hush"));
    assert_string_equal(seen.secret, "hush-hush");
    assert_int_equal(seen.prepared, 1);
    a = expect(200, patch_list("[[\"copy\",\"secret\",\"colour\"]]"));
    assert_string_equal(answer_str(a, "spec.secret"), "(absent)");
    assert_string_equal(seen.secret, "scarlet");
    assert_int_equal(seen.prepared, 2);
    expect(200, patch_list("[[\"set\",\"size\",3]]"));
    assert_int_equal(seen.prepared, 2);
    a = expect(422, patch_list("[[\"set\",\"secret\",[\"hush-hush\"]]]"));
    assert_false(answer_has(a, "hush-hush"));
    a = expect(200, CALL(&f, .path = WIDGETS "/a"));
    assert_false(answer_has(a, "hush-hush"));
    assert_string_equal(answer_str(a, "spec.secret"), "(absent)");
}

static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool open;
} gate = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false};

static void wait_at_gate(void *arg)
{
    LOCK_SCOPE(&gate.lock);
    while (!gate.open)
        pthread_cond_wait(&gate.changed, &gate.lock);
}

static void open_gate(void)
{
    LOCK_SCOPE(&gate.lock);
    gate.open = true;
    pthread_cond_broadcast(&gate.changed);
}

/* Between the hash and the transaction the object changes, and with it what the patch says: nobody gets a secret of which
 * another was hashed. */
static void a_secret_that_became_another(void **state)
{
    const struct work work = {.fn = wait_at_gate, .owner = "tests"};

    expect(201, create(WIDGET("a", "{\"colour\":\"scarlet\"}")));
    assert_int_equal(workers_submit(f.workers, &work), 0);
    struct watching *sent = send_alone(&f, &(struct call){.method = "PATCH",
                                                          .path = WIDGETS "/a",
                                                          .type = LIST_TYPE,
                                                          .body = "[[\"copy\",\"secret\",\"colour\"]]"});
    while (atomic_load(&applied) == 0)
        sched_yield();
    expect(200, patch_list("[[\"set\",\"colour\",\"azure\"]]"));
    open_gate();
    struct answer *a = expect(409, answer_of(sent));
    assert_true(answer_has(a, "by somebody else at the same moment"));
    assert_string_equal(seen.secret, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(one_more_type),
        TEST(is_named_where_types_are),
        TEST(secrets_come_of_the_result),
        TEST(a_secret_that_became_another),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
