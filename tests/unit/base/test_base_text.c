/* Strings, buffers, encodings, time: what protocol code stands on. */
#include "base/address.h"
#include "base/alloc.h"
#include "base/arena.h"
#include "base/buffer.h"
#include "base/clock.h"
#include "base/encoding.h"
#include "base/error.h"
#include "base/log.h"
#include "base/quantity.h"
#include "base/random.h"
#include "base/str.h"
#include "base/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static void splits_and_trims(void **state)
{
    struct str rest = STR("a,,b"), part;

    assert_true(str_split(&rest, ',', &part) && str_is(part, "a"));
    assert_true(str_split(&rest, ',', &part) && part.n == 0);
    assert_true(str_split(&rest, ',', &part) && str_is(part, "b"));
    assert_false(str_split(&rest, ',', &part));
    assert_true(str_is(str_trim(STR(" \t x y\r\n")), "x y"));
    assert_int_equal(str_trim(STR("   ")).n, 0);
    assert_true(str_list_has(STR("cpu,cpuacct"), ',', "cpu") && str_list_has(STR("cpu,cpuacct"), ',', "cpuacct"));
    assert_false(str_list_has(STR("cpuset,cpuacct"), ',', "cpu") || str_list_has(STR(""), ',', "cpu"));
}

static void reads_numbers_strictly(void **state)
{
    static const char *const bad[] = {
        "", "-1", "+1", " 1", "1 ", "0x1", "1e3", "18446744073709551616", "99999999999999999999999"};
    unsigned long long value;

    assert_int_equal(str_to_u64(STR("18446744073709551615"), UINT64_MAX, &value), 0);
    assert_true(value == UINT64_MAX);
    assert_int_equal(str_to_u64(STR("65536"), 65535, &value), -1);
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        assert_int_equal(str_to_u64(str_from(bad[i]), UINT64_MAX, &value), -1);
}

static void reads_quantities(void **state)
{
    static const struct {
        const char *text;
        uint64_t bytes;
    } good[] = {
        {"0", 0},
        {"1", 1},
        {"64Ki", 65536},
        {"1Mi", 1 << 20},
        {"1.5Gi", 1610612736},
        {"1.5k", 1500},
        {"2M", 2000000},
        {"1.001G", 1001000000},
        {"1Ti", UINT64_C(1) << 40},
        {"0.5Ki", 512},
        {"1T", UINT64_C(1000000000000)},
        {"18446744073709551615", UINT64_MAX},
        {"0.9", 0},
    };
    static const char *const bad[] = {
        "",          "Gi", "-1",       "+1",   " 1",   "1 ",    "1gi",  "1GI", "1 Gi", "1e3",
        "1.",        ".5", "1.2345Gi", "1.Gi", "1..5", "1,5Gi", "1Gi ", "0x1", "1KiB", "18446744073709551616",
        "16777216Ti"};
    uint64_t n;

    for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
        assert_int_equal(quantity_parse(str_from(good[i].text), UINT64_MAX, &n), 0);
        assert_true(n == good[i].bytes);
    }
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        if (quantity_parse(str_from(bad[i]), UINT64_MAX, &n) == 0)
            fail_msg("%s was taken", bad[i]);
    assert_int_equal(quantity_parse(STR("1Ki"), 1024, &n), 0);
    assert_int_equal(quantity_parse(STR("1025"), 1024, &n), -1);
    assert_int_equal(quantity_parse((struct str){"1\0", 2}, 1024, &n), -1);
}

static void reads_portions(void **state)
{
    static const char *const bad[] = {"", "%", "0%", "101%", "1.5%", "50 %", "50%%", "63Ki", "17Ti", "-1%"};
    struct portion p;

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        assert_int_equal(portion_parse(str_from(bad[i]), &p), -1);
    assert_true(portion_parse(STR("50%"), &p) == 0 && p.percent == 50 && p.bytes == 0);
    assert_true(portion_of(&p, 1001) == 500 && portion_of(&p, UINT64_MAX) == UINT64_MAX / 2);
    assert_true(portion_parse(STR("100%"), &p) == 0 && portion_of(&p, 12345) == 12345);
    assert_true(portion_parse(STR("64Ki"), &p) == 0 && p.bytes == 65536 && p.percent == 0);
    assert_true(portion_of(&p, 1 << 20) == 65536 && portion_of(&p, 4096) == 4096);
    assert_true(portion_of(&(struct portion){0}, 4096) == 0);
}

static void knows_dns_names(void **state)
{
    static const char *const labels[] = {"a", "user1", "a-b", "1",
                                         "x23456789012345678901234567890123456789012345678901234567890123"};
    static const char *const none[] = {
        "",     "-a",  "a-",
        "A",    "a_b", "a.b",
        "用户", "a b", "x234567890123456789012345678901234567890123456789012345678901234"};

    for (size_t i = 0; i < ARRAY_SIZE(labels); i++)
        assert_true(is_dns_label(str_from(labels[i])));
    for (size_t i = 0; i < ARRAY_SIZE(none); i++)
        assert_false(is_dns_label(str_from(none[i])));
    assert_true(is_dns_subdomain(STR("a.b-c.d")));
    assert_false(is_dns_subdomain(STR("a..b")));
    assert_false(is_dns_subdomain(STR(".a")));
}

static void buffer_stops_at_its_limit(void **state)
{
    struct buffer b = BUFFER_MAX(10);

    buffer_puts(&b, "12345");
    buffer_printf(&b, "%d", 678);
    assert_string_equal(b.p, "12345678");
    buffer_puts(&b, "9ab");
    assert_true(b.overflow);
    assert_string_equal(b.p, "12345678");
    buffer_puts(&b, "9"); /* would fit, behind what is missing */
    buffer_printf(&b, "9");
    assert_string_equal(b.p, "12345678");
    buffer_clear(&b);
    assert_false(b.overflow);
    buffer_free(&b);
}

static void buffer_reserves_within_its_limit(void **state)
{
    struct buffer b = BUFFER_MAX(10);

    buffer_reserve(&b, 10);
    const char *p = b.p;
    assert_non_null(p);
    buffer_puts(&b, "1234567890");
    assert_ptr_equal(b.p, p);
    assert_false(b.overflow);
    /* More than it may ever hold: whoever appends learns that. */
    buffer_reserve(&b, 1);
    assert_false(b.overflow);
    assert_int_equal(b.capacity, 11);
    buffer_free(&b);
    buffer_reserve(&b, 11);
    assert_null(b.p);
    buffer_reserve(&b, 0);
    assert_string_equal(buffer_str(&b).p, "");
    buffer_free(&b);
}

static void writes_json_strings(void **state)
{
    struct buffer b = BUFFER_MAX(1000);

    buffer_json_string(&b, STR("a\"b\\c\n\t\x01 \x7f 中"));
    assert_string_equal(b.p, "\"a\\\"b\\\\c\\n\\t\\u0001 \x7f 中\"");
    buffer_clear(&b);
    buffer_json_string(&b, (struct str){NULL, 0});
    buffer_json_string(&b, STR("\n"));
    assert_string_equal(b.p, "\"\"\"\\n\"");
    buffer_free(&b);
}

static void encodes_both_ways(void **state)
{
    size_t n;
    char *text = base64_encode("user1:pa:ss", 11);
    assert_string_equal(text, "dXNlcjE6cGE6c3M=");
    char *back = base64_decode(str_from(text), &n);
    assert_int_equal(n, 11);
    assert_memory_equal(back, "user1:pa:ss", 12);
    free(text);
    free(back);
    assert_null(base64_decode(STR("a*b"), &n));
    back = base64_decode(STR("_-8"), &n);
    assert_int_equal(n, 2);
    free(back);
    back = base64_decode(STR(""), &n);
    assert_int_equal(n, 0);
    free(back);
}

static void decodes_percent(void **state)
{
    static const char *const bad[] = {"%", "%4", "%zz", "%00", "a%2"};
    char *out = percent_decode(STR("a%20b+c%E4%BD%A0"), true);

    assert_string_equal(out, "a b c你");
    free(out);
    out = percent_decode(STR("a+b"), false);
    assert_string_equal(out, "a+b");
    free(out);
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        assert_null(percent_decode(str_from(bad[i]), false));
    /* What lies behind the end is not looked at. */
    assert_null(percent_decode((struct str){"a%41", 3}, false));
    assert_null(percent_decode((struct str){"a%41", 2}, false));

    struct buffer b = BUFFER_MAX(100);
    buffer_percent_encode(&b, STR("http://a:1/x?y=z&你"));
    assert_string_equal(b.p, "http%3A%2F%2Fa%3A1%2Fx%3Fy%3Dz%26%E4%BD%A0");
    buffer_free(&b);
}

static void reads_and_writes_time(void **state)
{
    static const char *const bad[] = {"",
                                      "2026-01-02",
                                      "2026-13-02T03:04:05Z",
                                      "2026-01-02T03:04:05",
                                      "2026-01-02T03:04:05+1:00",
                                      "2026-01-02 03:04:05Z",
                                      "2026-01-02T03:04:05.Zx",
                                      "2026-01-02T03:04:05.Z",
                                      "2026-01-02T03:04:05.+08:00",
                                      "2026-02-29T00:00:00Z",
                                      "2026-02-31T00:00:00Z",
                                      "2026-04-31T00:00:00Z",
                                      "2028-04-31T00:00:00Z",
                                      "2100-02-29T00:00:00Z",
                                      "2026-01-32T00:00:00Z",
                                      "2026-01-00T00:00:00Z",
                                      "2026-00-01T00:00:00Z",
                                      "2026-01-01T24:00:00Z",
                                      "2026-01-01T00:60:00Z",
                                      "2026-01-01T00:00:61Z"};
    static const struct {
        const char *text, *same;
    } good[] = {
        {"2028-02-29T00:00:00Z", "2028-02-29T00:00:00Z"},      {"2000-02-29T00:00:00Z", "2000-02-29T00:00:00Z"},
        {"2026-12-31t23:59:60z", "2027-01-01T00:00:00Z"},      {"2026-03-31T00:00:00.000001Z", "2026-03-31T00:00:00Z"},
        {"2026-01-01T00:00:00-23:59", "2026-01-01T23:59:00Z"},
    };
    char text[TIMESTAMP_SIZE];
    int64_t us;

    assert_int_equal(timestamp_parse(STR("2026-01-02T03:04:05.25+08:00"), &us), 0);
    timestamp_micro(text, us);
    assert_string_equal(text, "2026-01-01T19:04:05.250000Z");
    timestamp(text, us);
    assert_string_equal(text, "2026-01-01T19:04:05Z");
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        assert_int_equal(timestamp_parse(str_from(bad[i]), &us), -1);
    for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
        assert_int_equal(timestamp_parse(str_from(good[i].text), &us), 0);
        timestamp(text, us);
        assert_string_equal(text, good[i].same);
    }
}

static void secrets_are_equal_as_a_whole(void **state)
{
    static const char *const others[] = {"", "s", "secre", "secret1", "Secret", "secreT"};

    assert_true(str_equal_secret(STR("secret"), STR("secret")));
    assert_true(str_equal_secret(STR(""), STR("")));
    for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
        assert_false(str_equal_secret(str_from(others[i]), STR("secret")));
        assert_false(str_equal_secret(STR("secret"), str_from(others[i])));
    }
}

static void errors_wrap_and_collect_causes(void **state)
{
    struct error *err = NULL;

    assert_int_equal(error_set(&err, REASON_NOT_FOUND, "no %s", "x"), -1);
    error_wrap(&err, "while %d", 1);
    assert_string_equal(err->message, "while 1: no x");
    assert_int_equal(reason_code(err->reason), 404);
    error_free(err);
    err = NULL;
    error_add_cause(&err, "spec.a", "FieldValueRequired", "Required value");
    error_add_cause(&err, "spec.b", "FieldValueInvalid", "bad");
    assert_int_equal(err->causes_len, 2);
    assert_string_equal(err->message, "spec.a: Required value, spec.b: bad");
    assert_string_equal(reason_name(err->reason), "Invalid");
    error_free(err);
    assert_int_equal(error_set(NULL, REASON_INTERNAL, "nobody asks"), -1);
}

static void count(void *p)
{
    ++*(int *)p;
}

static void arena_keeps_and_defers(void **state)
{
    struct arena *a = arena_new();
    int called = 0;
    char *big = arena_alloc(a, 100000);

    for (size_t i = 0; i < 100000; i++)
        assert_int_equal(big[i], 0);
    assert_string_equal(arena_printf(a, "%s-%d", "x", 7), "x-7");
    arena_defer(a, count, &called);
    arena_defer(a, count, &called);
    assert_int_equal(called, 0);
    arena_free(a);
    assert_int_equal(called, 2);
}

static void random_differs(void **state)
{
    char a[UUID_SIZE], b[UUID_SIZE];

    random_uuid(a);
    random_uuid(b);
    assert_string_not_equal(a, b);
    assert_int_equal(a[14], '4');
    char *t = random_token(32);
    assert_int_equal(strlen(t), 43);
    free(t);
}

static int compare_uuids(const void *a, const void *b)
{
    return memcmp(a, b, UUID_SIZE);
}

/* More than are drawn at a time. */
static void no_uuid_comes_twice(void **state)
{
    char all[100][UUID_SIZE];

    for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
        random_uuid(all[i]);
        assert_int_equal(strlen(all[i]), 36);
        assert_int_equal(strspn(all[i], "0123456789abcdef-"), 36);
        assert_true(all[i][8] == '-' && all[i][13] == '-' && all[i][18] == '-' && all[i][23] == '-');
        assert_non_null(strchr("89ab", all[i][19]));
    }
    qsort(all, ARRAY_SIZE(all), UUID_SIZE, compare_uuids);
    for (size_t i = 1; i < ARRAY_SIZE(all); i++)
        assert_string_not_equal(all[i - 1], all[i]);
}

/* A child of ours gives others than its parent. */
static void no_uuid_of_the_parent(void **state)
{
    char ours[UUID_SIZE], theirs[UUID_SIZE] = "";
    int ends[2], status;

    random_uuid(ours);
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        random_uuid(theirs);
        _exit(write(ends[1], theirs, UUID_SIZE) == UUID_SIZE ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(read(ends[0], theirs, UUID_SIZE), UUID_SIZE);
    random_uuid(ours);
    assert_string_not_equal(ours, theirs);
    close(ends[0]);
    close(ends[1]);
}

/* What steers a terminal, or shows one text as another, and its neighbours that do not. */
static void tells_text_from_controls(void **state)
{
    static const char *const plain[] = {"",
                                        "a b~",
                                        "\xc2\xa0",
                                        "\xd8\x9b",
                                        "\xd8\x9d",
                                        "\xe2\x80\x8d",
                                        "\xe2\x80\x90",
                                        "\xe2\x80\xa7",
                                        "\xe2\x80\xaf",
                                        "\xe2\x81\xa5",
                                        "\xe2\x81\xaa",
                                        "\xe4\xb8\xad\xe6\x96\x87",
                                        "\xf0\x9f\x98\x80",
                                        "\xf4\x8f\xbf\xbf"};
    static const char *const steering[] = {
        "\x01",         "\t",           "\n",           "\r",           "\x1b",         "\x1f",         "\x7f",
        "\xc2\x80",     "\xc2\x9b",     "\xc2\x9f",     "\xd8\x9c",     "\xe2\x80\x8e", "\xe2\x80\x8f", "\xe2\x80\xa8",
        "\xe2\x80\xa9", "\xe2\x80\xaa", "\xe2\x80\xae", "\xe2\x81\xa6", "\xe2\x81\xa9"};
    static const char *const malformed[] = {"\xff",
                                            "\x80",
                                            "\xc3",
                                            "\xc0\x80",
                                            "\xe0\x80\x80",
                                            "\xed\xa0\x80",
                                            "\xf0\x80\x80\x80",
                                            "\xf4\x90\x80\x80",
                                            "\xe4\xb8",
                                            "\xf5\x80\x80\x80",
                                            "\xf7\xbf\xbf\xbf",
                                            "\xed\xbf\xbf"};
    char text[32];

    for (size_t i = 0; i < ARRAY_SIZE(plain); i++) {
        snprintf(text, sizeof(text), "a%sb", plain[i]);
        assert_true(text_is_plain(str_from(text), ""));
        assert_int_equal(text_clean(text, strlen(text), ""), strlen(plain[i]) + 2);
    }
    for (size_t i = 0; i < ARRAY_SIZE(steering); i++) {
        snprintf(text, sizeof(text), "a%sb", steering[i]);
        assert_false(text_is_plain(str_from(text), ""));
        assert_int_equal(text_clean(text, strlen(text), ""), 3);
        assert_true(text[0] == 'a' && (text[1] == '?' || text[1] == ' ') && text[2] == 'b');
    }
    for (size_t i = 0; i < ARRAY_SIZE(malformed); i++)
        assert_false(text_is_plain(str_from(malformed[i]), "\n\t"));
    assert_false(text_is_plain(STR("a\0b"), ""));
    assert_false(text_is_plain(STR("a\0b"), "\n\t"));
    assert_true(text_is_plain(STR("a\nb\t"), "\n\t"));
    assert_false(text_is_plain(STR("a\rb"), "\n\t"));
}

static void cleans_in_place(void **state)
{
    char text[] = "a\x1b[31m \xe2\x80\xae\xe4\xb8\xad\n\tb\xff\xc2\x9b";
    size_t n = text_clean(text, sizeof(text) - 1, "\t");

    assert_true(str_is((struct str){text, n}, "a?[31m ?\xe4\xb8\xad \tb??"));
}

static void cuts_no_character(void **state)
{
    static const struct str text = STR("a\xe4\xb8\xad\xf0\x9f\x98\x80");
    static const size_t shown[] = {0, 1, 1, 1, 4, 4, 4, 4, 8, 8};

    for (size_t most = 0; most < ARRAY_SIZE(shown); most++)
        assert_int_equal(text_cut(text, most), shown[most]);
    assert_int_equal(text_cut((struct str){0}, 3), 0);
}

/* One line, whatever is in it. */
static void logs_plain_lines(void **state)
{
    char text[4096] = {0};
    int saved = dup(STDERR_FILENO), file = memfd_create("log", MFD_CLOEXEC);
    _cleanup_free_ char *chinese = NULL;

    assert_true(asprintf(&chinese, "%01500d", 0) > 0);
    for (char *p = chinese; *p; p += 3)
        memcpy(p, "\xe4\xb8\xad", 3);
    assert_true(saved >= 0 && file >= 0 && dup2(file, STDERR_FILENO) >= 0);
    log_warning("a\x1b]0;t\x07\nb\xc2\x9b\xe2\x80\xae\xe4\xb8\xad\xff");
    log_warning("%s%s%s", chinese, chinese, chinese);
    dup2(saved, STDERR_FILENO);
    close(saved);
    ssize_t n = pread(file, text, sizeof(text) - 1, 0);
    close(file);
    assert_true(n > 0);
    assert_non_null(strstr(text, "a?]0;t? b??\xe4\xb8\xad?\n"));
    const char *second = strchr(text, '\n') + 1;
    assert_ptr_equal(strchr(second, '\n'), text + n - 1);
    assert_true(text_is_plain((struct str){second, (size_t)(text + n - 1 - second)}, ""));
}

static bool holds(const char *outer, const char *inner)
{
    struct network o, i;

    assert_int_equal(network_parse(str_from(outer), &o), 0);
    assert_int_equal(network_parse(str_from(inner), &i), 0);
    return network_holds(&o, &i);
}

static void networks_hold_addresses(void **state)
{
    static const char *const none[] = {
        "",          "10.0.0.0/33", "10.0.0.0/",    "10.0.0.0/a", "10.0.0/8",     "::/129",
        "10.0.0.0 ", "localhost",   "10.0.0.0/8/8", "fe80::1%lo", "1.2.3.4.5/32", "/8"};
    struct network n;

    assert_true(holds("10.42.0.0/16", "10.42.255.1"));
    assert_false(holds("10.42.0.0/16", "10.43.0.0"));
    assert_true(holds("10.42.0.128/25", "10.42.0.200"));
    assert_false(holds("10.42.0.128/25", "10.42.0.127"));
    assert_true(holds("0.0.0.0/0", "255.255.255.255"));
    assert_false(holds("0.0.0.0/0", "::1"));
    assert_true(holds("::/0", "::ffff:10.0.0.1"));
    assert_true(holds("10.0.0.0/8", "::ffff:10.0.0.1"));
    assert_true(holds("10.0.0.1", "10.0.0.1"));
    assert_false(holds("10.0.0.1", "10.0.0.0"));
    assert_true(holds("fd00::/8", "fdff::1"));
    assert_false(holds("fd00::/8", "fe00::1"));
    assert_true(holds("10.0.0.0/8", "10.1.0.0/16"));
    assert_false(holds("10.1.0.0/16", "10.0.0.0/8"));
    for (size_t i = 0; i < ARRAY_SIZE(none); i++)
        assert_int_equal(network_parse(str_from(none[i]), &n), -1);
    assert_int_equal(network_parse((struct str){"10.0.0.1\0", 9}, &n), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(networks_hold_addresses),
        cmocka_unit_test(splits_and_trims),
        cmocka_unit_test(reads_numbers_strictly),
        cmocka_unit_test(reads_quantities),
        cmocka_unit_test(reads_portions),
        cmocka_unit_test(knows_dns_names),
        cmocka_unit_test(buffer_stops_at_its_limit),
        cmocka_unit_test(buffer_reserves_within_its_limit),
        cmocka_unit_test(writes_json_strings),
        cmocka_unit_test(encodes_both_ways),
        cmocka_unit_test(decodes_percent),
        cmocka_unit_test(reads_and_writes_time),
        cmocka_unit_test(secrets_are_equal_as_a_whole),
        cmocka_unit_test(errors_wrap_and_collect_causes),
        cmocka_unit_test(arena_keeps_and_defers),
        cmocka_unit_test(random_differs),
        cmocka_unit_test(no_uuid_comes_twice),
        cmocka_unit_test(no_uuid_of_the_parent),
        cmocka_unit_test(tells_text_from_controls),
        cmocka_unit_test(cleans_in_place),
        cmocka_unit_test(cuts_no_character),
        cmocka_unit_test(logs_plain_lines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
