/* What tus says in headers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "server/content/tus.h"

static void numbers(void **state)
{
    static const char *const wrong[] = {NULL, "", "-1", "+1", " 1", "1 ", "0x1", "1.0", "9223372036854775808"};
    uint64_t n = 7;

    assert_int_equal(tus_number("0", "Upload-Offset", &n, NULL), 0);
    assert_int_equal(n, 0);
    assert_int_equal(tus_number("9223372036854775807", "Upload-Offset", &n, NULL), 0);
    assert_true(n == INT64_MAX);
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
        _cleanup_error_ struct error *err = NULL;
        assert_int_equal(tus_number(wrong[i], "Upload-Offset", &n, &err), -1);
        assert_true(err->reason == REASON_BAD_REQUEST && strstr(err->message, "Upload-Offset"));
    }
}

static void metadata(void **state)
{
    static const struct {
        const char *text, *value; /* NULL: it is not said */
    } cases[] = {
        {NULL, NULL},
        {"", NULL},
        {"filename d29ybGQ=", "world"},
        {"other eA==,filename d29ybGQ=", "world"},
        {" filename d29ybGQ= , other", "world"},
        {"filename", ""},
        {"filename ", ""},
        {"filenames d29ybGQ=", NULL},
        {"filename 6K++56iLLnppcA==", "\xe8\xaf\xbe\xe7\xa8\x8b.zip"},
        {"filename YQpi,filename eA==", "a\nb"},
    };
    static const char *const wrong[] = {"filename !", "filename AA==", "filename /w==", "filename G1s="};
    _cleanup_free_ char *large = xcalloc(1, TUS_METADATA_MAX + 2), *value = NULL;

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_free_ char *got = NULL;
        if (tus_metadata(cases[i].text, "filename", &got, NULL) < 0 || (got == NULL) != (cases[i].value == NULL) ||
            (got && strcmp(got, cases[i].value) != 0))
            fail_msg("%s: %s", cases[i].text, got ? got : "nothing");
    }
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
        if (tus_metadata(wrong[i], "filename", &value, NULL) == 0 || value)
            fail_msg("%s", wrong[i]);
    memset(large, ',', TUS_METADATA_MAX + 1);
    assert_int_equal(tus_metadata(large, "filename", &value, NULL), -1);
    large[TUS_METADATA_MAX] = '\0';
    assert_int_equal(tus_metadata(large, "filename", &value, NULL), 0);
}

static void checksums(void **state)
{
    struct tus_checksum c;

    assert_int_equal(tus_checksum(NULL, &c, NULL), 0);
    assert_null(c.digest);
    assert_int_equal(tus_checksum("sha1 Kq5sNclPz7QV2+lfQIuc6R7oRu0=", &c, NULL), 0);
    assert_true(c.digest == EVP_sha1() && c.n == 20 && c.sum[0] == 0x2a);
    /* No sum, and one of another length: whatever comes does not fit. */
    assert_true(tus_checksum("sha256 !", &c, NULL) == 0 && c.n == 0);
    assert_true(tus_checksum("sha256", &c, NULL) == 0 && c.n == 0);
    assert_true(tus_checksum("sha512 YWFh", &c, NULL) == 0 && c.n == 3);
    assert_int_equal(tus_checksum("md5 YWFh", &c, NULL), -1);
    assert_int_equal(tus_checksum("", &c, NULL), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers),
        cmocka_unit_test(metadata),
        cmocka_unit_test(checksums),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
