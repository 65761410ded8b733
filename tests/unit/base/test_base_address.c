#include "base/address.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/attributes.h"
#include "base/encoding.h"

static void what_is_an_address(void **state)
{
    static const struct {
        const char *text;
        size_t n;
    } cases[] = {
        {"127.0.0.1", 4},
        {"255.255.255.255", 4},
        {"::1", 16},
        {"2001:db8::1", 16},
        {"::ffff:192.0.2.1", 16},
        {"", 0},
        {"localhost", 0},
        {"127.0.0", 0},
        {"127.0.0.256", 0},
        {"127.0.0.1 ", 0},
        {"[::1]", 0},
        {"::1%lo", 0},
        {"0x7f.0.0.1", 0},
        {"1", 0},
        {"127.0.0.1/8", 0},
    };
    unsigned char raw[16];

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        if (address_parse(cases[i].text, raw) != cases[i].n)
            fail_msg("%s", cases[i].text);
        assert_int_equal(is_address(cases[i].text), cases[i].n != 0);
    }
    assert_int_equal(address_parse("1.2.3.4", raw), 4);
    assert_memory_equal(raw, "\1\2\3\4", 4);
}

static void an_ipv6_network_is_one_client(void **state)
{
    static const struct {
        const char *address, *client;
    } cases[] = {
        {"192.0.2.1", "192.0.2.1"},
        {"::ffff:192.0.2.1", "192.0.2.1"},
        {"2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"},
        {"2001:db8:1:2::", "2001:db8:1:2::"},
        {"2001:db8:1:3::", "2001:db8:1:3::"},
        {"::1", "::"},
        {"", ""},
        {"unix:", "unix:"},
    };
    char out[ADDRESS_MAX];

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        address_client(out, str_from(cases[i].address));
        assert_string_equal(out, cases[i].client);
    }
    /* What is longer than any is cut. */
    static const char longest[] = "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx";
    address_client(out, str_from(longest));
    assert_int_equal(strlen(out), ADDRESS_MAX - 1);
}

static void hexadecimal_digits(void **state)
{
    static const char lower[] = "0123456789abcdef", upper[] = "0123456789ABCDEF";
    int digits = 0;

    for (int c = -128; c < 128; c++)
        digits += hex_value((char)c) >= 0;
    assert_int_equal(digits, 22);
    for (int i = 0; i < 16; i++) {
        assert_int_equal(hex_value(lower[i]), i);
        assert_int_equal(hex_value(upper[i]), i);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_an_address),
        cmocka_unit_test(an_ipv6_network_is_one_client),
        cmocka_unit_test(hexadecimal_digits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
