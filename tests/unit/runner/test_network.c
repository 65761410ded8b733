/* The rules of an environment's network, as texts and as what nobody may be talked into. */
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "runner/engine/network.h"

static const char *const hosts[] = {"127.0.0.1", "203.0.113.7", "10.0.0.5", "::1", "nonsense"};
static const char *const servers[] = {"10.0.0.2", "fd00::1", "8.8.8.8; accept", "9.9.9.9/8"};
static const char *const allowed[] = {"10.0.0.0/24", "192.168.7.1/32", "10.0.0.0", "0.0.0.0/33", "1.2.3.4/24 -j ACCEPT",
                                      "/8",          "1.2.3.4/"};
static const struct network_rules rules = {hosts,   ARRAY_SIZE(hosts),  servers, ARRAY_SIZE(servers),
                                           allowed, ARRAY_SIZE(allowed)};

static const char *const refused[] = {"0.0.0.0/8",      "10.0.0.0/8",    "100.64.0.0/10", "127.0.0.0/8",
                                      "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",  "192.168.0.0/16",
                                      "198.18.0.0/15",  "224.0.0.0/4",   "240.0.0.0/4"};

/* Each in its place: the first rule that fits counts. */
static void in_order(const char *text, const char *const *lines, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        _cleanup_free_ char *line = xasprintf("%s\n", lines[i]);
        const char *found = strstr(text, line);
        if (found == NULL)
            fail_msg("\"%s\" is missing, or not in its place, in:\n%s", lines[i], text);
        text = found;
    }
}

static size_t count(const char *text, const char *word)
{
    size_t n = 0;
    for (const char *p = text; (p = strstr(p, word)); p++)
        n++;
    return n;
}

/* Behind what is allowed last: each by a line of its own. */
static void private_are_refused(const char *text, const char *last, const char *before, const char *after)
{
    const char *rest = strstr(text, last);

    assert_non_null(rest);
    for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
        _cleanup_free_ char *line = xasprintf("%s%s%s\n", before, refused[i], after);
        assert_non_null(strstr(rest, line));
    }
}

static void test_nft(void **state)
{
    static const char *const wanted[] = {"table inet open_hydra",
                                         "delete table inet open_hydra",
                                         "type filter hook output priority 0; policy accept;",
                                         "oifname \"lo\" accept",
                                         "meta nfproto ipv6 reject",
                                         "ip daddr 10.0.0.2 meta l4proto { tcp, udp } th dport 53 accept",
                                         "ip daddr 127.0.0.1 reject",
                                         "ip daddr 203.0.113.7 reject",
                                         "ip daddr 10.0.0.5 reject",
                                         "ip daddr 10.0.0.0/24 accept",
                                         "ip daddr 192.168.7.1/32 accept"};
    _cleanup_buffer_ struct buffer b = BUFFER_MAX(65536);

    network_rules_nft(&b, &rules);
    in_order(b.p, wanted, ARRAY_SIZE(wanted));
    private_are_refused(b.p, "192.168.7.1/32 accept", "ip daddr ", " reject");
    assert_int_equal(count(b.p, "accept\n"), 4);
    assert_int_equal(count(b.p, "ip daddr"), 6 + ARRAY_SIZE(refused));
}

static void test_iptables(void **state)
{
    static const char *const wanted[] = {"*filter",
                                         ":OUTPUT ACCEPT",
                                         "-A OUTPUT -o lo -j ACCEPT",
                                         "-A OUTPUT -d 10.0.0.2 -p udp --dport 53 -j ACCEPT",
                                         "-A OUTPUT -d 10.0.0.2 -p tcp --dport 53 -j ACCEPT",
                                         "-A OUTPUT -d 127.0.0.1 -j REJECT",
                                         "-A OUTPUT -d 203.0.113.7 -j REJECT",
                                         "-A OUTPUT -d 10.0.0.5 -j REJECT",
                                         "-A OUTPUT -d 10.0.0.0/24 -j ACCEPT",
                                         "-A OUTPUT -d 192.168.7.1/32 -j ACCEPT"};
    _cleanup_buffer_ struct buffer b = BUFFER_MAX(65536);

    network_rules_iptables(&b, &rules);
    in_order(b.p, wanted, ARRAY_SIZE(wanted));
    private_are_refused(b.p, "192.168.7.1/32 -j ACCEPT", "-A OUTPUT -d ", " -j REJECT");
    assert_int_equal(count(b.p, "-j ACCEPT\n"), 5);
    assert_int_equal(count(b.p, "-A OUTPUT -d"), 7 + ARRAY_SIZE(refused));
    assert_string_equal(b.p + b.n - strlen("COMMIT\n"), "COMMIT\n");
}

static void test_addresses(void **state)
{
    assert_true(network_is_address("0.0.0.0", false) && network_is_address("255.255.255.255", false));
    assert_true(network_is_address("0.0.0.0/0", true) && network_is_address("10.0.0.0/32", true));
    static const char *const bad[] = {
        "",         "/",          "/8",         "1.2.3",       "1.2.3.4.5", "256.1.1.1",
        "1.2.3.4/", "1.2.3.4/33", "1.2.3.4/-1", "1.2.3.4/8/8", "1.2.3.4 ",  "01.2.3.4444444444444",
        "::1",      "::1/64",     "1.2.3.4\n",  "1.2.3.4/8\n", "host"};
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        assert_false(network_is_address(bad[i], false) || network_is_address(bad[i], true));
    assert_false(network_is_address("1.2.3.4", true) || network_is_address("1.2.3.4/8", false));
}

static void test_name_servers(void **state)
{
    static const char text[] = "# nameserver 1.1.1.1\nsearch nameserver\nnameserver 10.0.0.2\n\tnameserver\t 9.9.9.9 "
                               "\r\nnameserver\nnameservers 8.8.8.8\n"
                               "nameserver fd00::1\noptions nameserver\nnameserver 10.0.0.3";
    static const char *const expected[] = {"10.0.0.2", "9.9.9.9", "fd00::1", "10.0.0.3"};
    _cleanup_arena_ struct arena *a = arena_new();
    size_t n;
    const char *const *found = network_name_servers(a, str_from(text), &n);

    assert_int_equal(n, ARRAY_SIZE(expected));
    for (size_t i = 0; i < n; i++)
        assert_string_equal(found[i], expected[i]);
    network_name_servers(a, str_from(NULL), &n);
    assert_int_equal(n, 0);
}

static void test_own_addresses(void **state)
{
    _cleanup_free_ char *all = network_own_addresses();
    assert_non_null(strstr(all, "127.0.0.1"));
    assert_null(strchr(all, ':'));
}

/* The own rules are never touched, whatever number comes. (Those of this test, which main() takes out of the host's.)
 */
static void test_our_own_namespace(void **state)
{
    const int pids[] = {getpid(), 0, -1, 1 << 30};

    /* Should the check fail, no rule of this machine is replaced. The last test, therefore. */
    assert_true(geteuid() != 0 || unshare(CLONE_NEWNET) == 0);
    for (size_t i = 0; i < ARRAY_SIZE(pids); i++) {
        _cleanup_error_ struct error *err = NULL;
        assert_int_equal(network_guard(pids[i], &rules, &err), -1);
        assert_non_null(strstr(err->message, "network namespace"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nft),           cmocka_unit_test(test_iptables),
        cmocka_unit_test(test_addresses),     cmocka_unit_test(test_name_servers),
        cmocka_unit_test(test_own_addresses), cmocka_unit_test(test_our_own_namespace),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
