/* Forms: the same parts however the bytes are cut, and clear words where they are none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "server/content/form.h"
#include "support/form_text.h"

#define TYPE "multipart/form-data; boundary=XX"

/* Fed in pieces of that size. Returns the parts, or «error: …»; the caller frees. */
static char *read_in(const char *type, const char *text, size_t n, size_t size)
{
    _cleanup_buffer_ struct buffer b = BUFFER_MAX(1 << 20);
    _cleanup_error_ struct error *err = NULL;

    if (form_text(type, text, n, size, &b, &err) < 0)
        return xasprintf("error: %s", err->message);
    return buffer_steal(&b);
}

static void expect(const char *type, const char *text, size_t n, const char *expected, bool whole)
{
    for (size_t size = 1; size <= n + 1; size++) {
        _cleanup_free_ char *got = read_in(type, text, n, size);
        if (whole ? !streq(got, expected) : strstr(got, expected) == NULL)
            fail_msg("in pieces of %zu: %s, expected %s", size, got, expected);
    }
}

#define PART(disposition, content) "--XX\r\nContent-Disposition: form-data; " disposition "\r\n\r\n" content "\r\n"
#define END "--XX--\r\n"

static void test_parts(void **state)
{
    static const struct {
        const char *text, *expected;
    } cases[] = {
        {END, ""},
        {PART("name=\"a\"", "1") END, "[a|-|1]"},
        {PART("name=a", "1") PART("name=\"b\"; filename=\"x.zip\"", "two") END, "[a|-|1][b|x.zip|two]"},
        {"some words before\r\n" PART("name=\"a\"", "") END "and after", "[a|-|]"},
        {PART("name=\"a\"", "\r\n\r--X\r\n--X\r\r\n-\r\n--X") END, "[a|-|\r\n\r--X\r\n--X\r\r\n-\r\n--X]"},
        {PART("name=\"a\"", "\r\r\r") END, "[a|-|\r\r\r]"},
        {"--XX \t\r\ncontent-disposition:form-data;NAME=a\r\nContent-Type: text/plain\r\n\r\n1\r\n" END, "[a|-|1]"},
        {PART("name=\"a\\\"b\\\\c\"", "") END, "[a\"b\\c|-|]"},
        {PART("name=a; filename=\"C:\\dir\\x.zip\"", "") END, "[a|x.zip|]"},
        {PART("name=a; filename=\"../../etc/x\"", "") END, "[a|x|]"},
        {PART("name=a; filename=\"课程.zip\"", "") END, "[a|课程.zip|]"},
        {PART("name=a; filename=\"x\"; filename*=UTF-8''%E8%AF%BE.zip", "") END, "[a|课.zip|]"},
        {PART("name=a; filename=\"\"", "") END, "[a||]"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        expect(TYPE, cases[i].text, strlen(cases[i].text), cases[i].expected, true);
}

static void test_wrong(void **state)
{
    static const struct {
        const char *type, *text, *says;
    } cases[] = {
        {"multipart/form-data", END, "no multipart boundary"},
        {"multipart/form-data; boundary=", END, "no multipart boundary"},
        {"multipart/form-data; boundary=\"unfinished", END, "no multipart boundary"},
        {TYPE, "", "before its last boundary"},
        {TYPE, "--XX\r\n", "before its last boundary"},
        {TYPE, PART("name=a", "1"), "before its last boundary"},
        {TYPE, "--XX\r\n\r\n1\r\n" END, "no form data"},
        {TYPE, "--XX\r\nContent-Type: text/plain\r\n\r\n1\r\n" END, "no form data"},
        {TYPE, "--XX\r\nContent-Disposition: attachment; name=a\r\n\r\n1\r\n" END, "no form data"},
        {TYPE, PART("filename=x", "1") END, "has no name"},
        {TYPE, PART("name=\"a", "1") END, "has no name"},
        {TYPE, PART("name=\"a\x01\"", "1") END, "control characters"},
        {TYPE, PART("name=\"\xff\"", "1") END, "no UTF-8"},
        {TYPE, PART("name=refused", "1") END, "not this one"},
        {TYPE, "--XXYY\r\n", "followed by other text"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        expect(cases[i].type, cases[i].text, strlen(cases[i].text), cases[i].says, false);
}

static void test_limits(void **state)
{
    struct buffer b = BUFFER_MAX(1 << 20);

    for (int i = 0; i <= FORM_PARTS_MAX; i++)
        buffer_puts(&b, PART("name=a", "1"));
    _cleanup_free_ char *many = read_in(TYPE, b.p, b.n, 1000);
    assert_non_null(strstr(many, "too many parts"));
    buffer_clear(&b);
    buffer_puts(&b, "--XX\r\nX: ");
    for (int i = 0; i < FORM_HEADERS_MAX; i++)
        buffer_puts(&b, "x");
    _cleanup_free_ char *large = read_in(TYPE, b.p, b.n, 1000);
    assert_non_null(strstr(large, "headers of a part are too large"));
    buffer_free(&b);
    /* The longest boundary that there may be, and one more. */
    char seventy[71];
    memset(seventy, 'b', 70);
    seventy[70] = '\0';
    _cleanup_free_ char *type = xasprintf("multipart/form-data; boundary=\"%s\"", seventy);
    _cleanup_free_ char *text = xasprintf("--%s--", seventy);
    _cleanup_free_ char *good = read_in(type, text, strlen(text), 7);
    assert_string_equal(good, "");
    _cleanup_free_ char *longer = xasprintf("multipart/form-data; boundary=b%s", seventy);
    _cleanup_free_ char *bad = read_in(longer, text, strlen(text), 7);
    assert_non_null(strstr(bad, "no multipart boundary"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parts),
        cmocka_unit_test(test_wrong),
        cmocka_unit_test(test_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
