/* Lines of a stream that comes in pieces. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "client/lines.h"

#define LONGEST 8

static int collect(void *arg, struct str line)
{
    struct buffer *b = arg;

    if (str_is(line, "stop"))
        return -1;
    buffer_append(b, line.p, line.n);
    buffer_puts(b, "|");
    return 0;
}

/* In pieces of every size; NULL: the stream is ended. */
static void read_as(const char *text, bool skip_long, const char *expected)
{
    const size_t n = strlen(text);

    for (size_t piece = 1; piece <= n; piece++) {
        _cleanup_buffer_ struct buffer got = BUFFER_MAX(1000);
        struct line_reader r = {.part = BUFFER_MAX(LONGEST), .skip_long = skip_long, .line = collect, .arg = &got};
        int rc = 0;
        for (size_t at = 0; rc == 0 && at < n; at += piece)
            rc = line_reader_take(&r, (struct str){text + at, at + piece > n ? n - at : piece});
        buffer_free(&r.part);
        assert_int_equal(rc, expected ? 0 : -1);
        if (expected)
            assert_string_equal(got.p ? got.p : "", expected);
    }
}

static void test_lines(void **state)
{
    read_as("a\nbc\n\n\ndef\n", false, "a|bc|def|");
    read_as("a\nunended", true, "a|");
    read_as("12345678\nx\n", false, "12345678|x|");
    read_as("\n", false, "");
}

static void test_whoever_reads_may_end_it(void **state)
{
    read_as("a\nstop\nb\n", false, NULL);
}

/* Of one that is longer than there is room for nothing is handed over, whatever piece its end comes with. */
static void test_long_ones(void **state)
{
    static const char text[] = "a\n0123456789abcdef0123456789abcdef\nb\n";
    _cleanup_buffer_ struct buffer got = BUFFER_MAX(1000);
    struct line_reader r = {.part = BUFFER_MAX(LONGEST), .skip_long = true, .line = collect, .arg = &got};

    for (size_t i = 0; i + 1 < sizeof(text); i++)
        assert_int_equal(line_reader_take(&r, (struct str){text + i, 1}), 0);
    assert_string_equal(got.p, "a|b|");
    buffer_free(&r.part);
    r = (struct line_reader){.part = BUFFER_MAX(LONGEST), .line = collect, .arg = &got};
    assert_int_equal(line_reader_take(&r, STR("0123")), 0);
    assert_int_equal(line_reader_take(&r, STR("456789")), -1);
    buffer_free(&r.part);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_whoever_reads_may_end_it),
        cmocka_unit_test(test_long_ones),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
