#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "server/api/continue.h"
#include "server/api/negotiate.h"

#include <stdlib.h>

#define AS(what, version) "application/json;as=" what ";v=" version ";g=meta.k8s.io"

static void objects(void **state)
{
    assert_int_equal(negotiate(NULL), REPRESENT_OBJECT);
    assert_int_equal(negotiate(""), REPRESENT_OBJECT);
    assert_int_equal(negotiate("*/*"), REPRESENT_OBJECT);
    assert_int_equal(negotiate("application/*"), REPRESENT_OBJECT);
    assert_int_equal(negotiate("Application/JSON; charset=utf-8"), REPRESENT_OBJECT);
    assert_int_equal(negotiate("text/html, application/json;q=0.1"), REPRESENT_OBJECT);
    assert_int_equal(negotiate("application/json;stream=watch"), REPRESENT_OBJECT);
}

static void refused(void **state)
{
    assert_int_equal(negotiate("application/yaml"), REPRESENT_NONE);
    assert_int_equal(negotiate("application/json;q=0"), REPRESENT_NONE);
    assert_int_equal(negotiate("text/*"), REPRESENT_NONE);
    assert_int_equal(negotiate("application/jso"), REPRESENT_NONE);
    assert_int_equal(negotiate(AS("Table", "v7")), REPRESENT_NONE);
    assert_int_equal(negotiate(AS("Chair", "v1")), REPRESENT_NONE);
}

static void other_forms(void **state)
{
    assert_int_equal(negotiate(AS("Table", "v1") "," AS("Table", "v1beta1") ",application/json"), REPRESENT_TABLE);
    assert_int_equal(negotiate(AS("Table", "v1beta1") ",application/json"), REPRESENT_OBJECT);
    assert_int_equal(negotiate(AS("PartialObjectMetadata", "v1")), REPRESENT_METADATA);
    assert_int_equal(negotiate(AS("PartialObjectMetadataList", "v1")), REPRESENT_METADATA);
    assert_int_equal(negotiate("application/json;q=0.5," AS("Table", "v1")), REPRESENT_TABLE);
    assert_int_equal(negotiate("application/json," AS("Table", "v1")), REPRESENT_OBJECT);
}

static void odd_qualities(void **state)
{
    assert_int_equal(negotiate("application/json;q=0.0001"), REPRESENT_OBJECT);
    assert_int_equal(negotiate("application/json;q=x"), REPRESENT_OBJECT);
    assert_int_equal(negotiate("application/json;q=0.000"), REPRESENT_NONE);
    assert_int_equal(negotiate(",;,;;=,application/json;;"), REPRESENT_OBJECT);
}

static void ranges(void **state)
{
    assert_true(negotiate_accepts(NULL, "text/plain"));
    assert_true(negotiate_accepts("text/*", "text/plain"));
    assert_false(negotiate_accepts("text/plain;q=0", "text/plain"));
    assert_false(negotiate_accepts("application/json", "text/plain"));
}

static void tokens(void **state)
{
    uint64_t revision;
    char *after, *token = continue_encode(77, "a-name.with:colon");

    assert_int_equal(continue_decode(token, &revision, &after, NULL), 0);
    assert_int_equal(revision, 77);
    assert_string_equal(after, "a-name.with:colon");
    free(after);
    free(token);
    assert_int_equal(continue_decode("", &revision, &after, NULL), -1);
    assert_int_equal(continue_decode("%%%", &revision, &after, NULL), -1);
    assert_int_equal(continue_decode("MjoxOmE", &revision, &after, NULL), -1); /* 2:1:a */
    assert_int_equal(continue_decode("MTp4OmE", &revision, &after, NULL), -1); /* 1:x:a */
    assert_int_equal(continue_decode("MTox", &revision, &after, NULL), -1);    /* 1:1 */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(objects), cmocka_unit_test(refused),       cmocka_unit_test(other_forms),
        cmocka_unit_test(ranges),  cmocka_unit_test(odd_qualities), cmocka_unit_test(tokens),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
