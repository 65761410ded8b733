/* What the runner and the gateway read of a device. */
#include "kinds/device.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/alloc.h"

#define OURS "\"" DEVICE_FINALIZER "\""

static void test_whose_finalizers(void **state)
{
    static const struct {
        const char *list;
        bool ours, others;
    } cases[] = {
        {"[]", false, false},
        {"[" OURS "]", true, false},
        {"[\"a/b\"]", false, true},
        {"[" OURS ",\"a/b\"]", true, true},
        {"[\"a/b\"," OURS "]", true, true},
        {"[\"a/b\"," OURS ",\"c/d\"]", true, true},
        {"null", false, false},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_free_ char *text = xasprintf("{\"metadata\":{\"finalizers\":%s}}", cases[i].list);
        _cleanup_json_ yyjson_doc *doc = json_parse(str_from(text), NULL);
        struct device d;
        device_read(yyjson_doc_get_root(doc), &d);
        if (d.has_finalizer != cases[i].ours || d.held_by_others != cases[i].others)
            fail_msg("%s", cases[i].list);
    }
}

static void test_phases(void **state)
{
    static const char *const names[] = {"Queued", "Preparing", "Starting", "Running", "Stopping", "Failed", "Stopped"};

    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        assert_string_equal(phase_name(phase_parse(names[i])), names[i]);
    /* What has not been said yet, or by a later version. */
    assert_int_equal(phase_parse(NULL), PHASE_QUEUED);
    assert_int_equal(phase_parse("running"), PHASE_QUEUED);
}

static void test_nothing_is_there(void **state)
{
    _cleanup_json_ yyjson_doc *doc = json_parse(STR("{}"), NULL);
    struct device d;

    device_read(yyjson_doc_get_root(doc), &d);
    assert_null(d.name);
    assert_null(d.sandbox);
    assert_false(d.deleting);
    assert_int_equal(d.host_id, 0);
    assert_int_equal(d.phase, PHASE_QUEUED);
}

static void test_all_is_there(void **state)
{
    static const char text[] = "{\"metadata\":{\"name\":\"n\",\"uid\":\"u\",\"generation\":7,\"deletionTimestamp\":"
                               "\"2026-01-01T00:00:00Z\"},\"spec\":{\"openHydraUsername\":\"o\"},\"status\":{"
                               "\"sandboxName\":\"s\",\"phase\":\"Failed\",\"reason\":\"r\",\"message\":\"m\","
                               "\"hostId\":4294901760}}";
    _cleanup_json_ yyjson_doc *doc = json_parse(str_from(text), NULL);
    struct device d;

    device_read(yyjson_doc_get_root(doc), &d);
    assert_string_equal(d.name, "n");
    assert_string_equal(d.uid, "u");
    assert_string_equal(d.owner, "o");
    assert_string_equal(d.sandbox, "s");
    assert_string_equal(d.reason, "r");
    assert_string_equal(d.message, "m");
    assert_int_equal(d.generation, 7);
    assert_int_equal(d.phase, PHASE_FAILED);
    assert_true(d.host_id == 4294901760);
    assert_true(d.deleting);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whose_finalizers),
        cmocka_unit_test(test_phases),
        cmocka_unit_test(test_nothing_is_there),
        cmocka_unit_test(test_all_is_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
