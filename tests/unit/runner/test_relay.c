/* How what listens on TCP is found, and what is remembered of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "runner/engine/ports.h"
#include "runner/relay/groups.h"
#include "runner/relay/listening.h"

#define HEAD "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
#define REST " 00000000:00000000 00:00000000 00000000  1000        0 1 1 0 100 0 0 10 0\n"
#define V4(address, state) "   0: " address " 00000000:0000 " state REST
#define V6(address, state) "   1: " address " 00000000000000000000000000000000:0000 " state REST

static void test_where_it_listens(void **state)
{
    static const struct {
        const char *tcp, *tcp6;
        enum listening found;
    } table[] = {
        {"", "", LISTENING_NOT},
        {HEAD, HEAD, LISTENING_NOT},
        {HEAD V4("00000000:22B8", "0A"), HEAD, LISTENING_V4},
        {HEAD V4("0100007F:22B8", "0A"), HEAD, LISTENING_V4},
        {HEAD V4("00000000:22B9", "0A") V4("0100007F:22B8", "0A"), HEAD, LISTENING_V4},
        {HEAD V4("00000000:22B8", "01"), HEAD, LISTENING_NOT}, /* a connection */
        {HEAD V4("00000000:22B9", "0A"), HEAD, LISTENING_NOT},
        {HEAD V4("0200007F:22B8", "0A"), HEAD, LISTENING_NOT}, /* 127.0.0.2 */
        {HEAD V4("0A00580A:22B8", "0A"), HEAD, LISTENING_NOT}, /* the bridge's address */
        {HEAD, HEAD V6("00000000000000000000000000000000:22B8", "0A"), LISTENING_V6},
        {HEAD, HEAD V6("00000000000000000000000001000000:22B8", "0A"), LISTENING_V6},
        {HEAD, HEAD V6("0000000000000000FFFF00000100007F:22B8", "0A"), LISTENING_V4},
        {HEAD, HEAD V6("0000000000000000FFFF000000000000:22B8", "0A"), LISTENING_V4},
        {HEAD, HEAD V6("B80D0120000000000000000001000000:22B8", "0A"), LISTENING_NOT},
        {HEAD V4("0100007F:22B8", "0A"), HEAD V6("00000000000000000000000000000000:22B8", "0A"), LISTENING_V4},
        {"   0: 00000000:22B8", "::::\n 0:\n \n0A", LISTENING_NOT},
    };

    for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
        enum listening found = listening_in(str_from(table[i].tcp), str_from(table[i].tcp6), 8888);
        if (found != table[i].found)
            fail_msg("row %zu: %d", i, (int)found);
    }
}

static void group_is(const char *line, const char *path)
{
    _cleanup_free_ char *found = relay_group_path(line);

    if (path)
        assert_string_equal(found, path);
    else
        assert_null(found);
}

static void test_groups(void **state)
{
    group_is("0::/machine.slice/libpod-a.scope/container",
             "/sys/fs/cgroup/machine.slice/libpod-a.scope/container/cgroup.procs");
    group_is("4:memory:/libpod_parent/libpod-a", "/sys/fs/cgroup/memory/libpod_parent/libpod-a/cgroup.procs");
    group_is("5:cpu,cpuacct:/a", "/sys/fs/cgroup/cpu,cpuacct/a/cgroup.procs");
    group_is("8:pids:/a", "/sys/fs/cgroup/pids/a/cgroup.procs");
    group_is("2:cpuacct:/a", NULL);
    group_is("9:name=systemd:/a", NULL);
    group_is("0::/", NULL); /* the machine's own */
    group_is("4:memory:/", NULL);
    group_is("0::/../a", NULL); /* outside of what is seen here */
    group_is("", NULL);
    group_is("0:", NULL);
    group_is("0::", NULL);
}

static void test_labels(void **state)
{
    static const char *const bad[] = {"",        "7",           "x lab:1",  "0 lab:1", "7 lab",
                                      "7 lab:0", "7 lab:65536", "7 ../a:1", "7 :1",    "7 lab:1:2"};
    const struct runtime_port ports[] = {
        {.name = "main", .socket = "/run/a/s"}, {.name = "lab", .tcp = 8888}, {.name = "x", .tcp = 1}};
    const struct runtime_spec s = {.ports = ports, .ports_len = 3}, none = {.ports = ports, .ports_len = 1};
    const struct prepared p = {.relay = 1879113727u};
    _cleanup_buffer_ struct buffer text = BUFFER_MAX(1000), empty = BUFFER_MAX(1000);
    _cleanup_arena_ struct arena *a = arena_new();
    struct labelled_ports l;

    ports_write_label(&empty, &none, &p);
    assert_int_equal(empty.n, 0);
    ports_write_label(&text, &s, &p);
    assert_string_equal(text.p, "1879113727 lab:8888 x:1");
    assert_int_equal(ports_read_label(a, text.p, &l), 0);
    assert_true(l.relay == 1879113727u && l.n == 2 && l.list[0].port == 8888 && l.list[1].port == 1);
    assert_string_equal(l.list[0].name, "lab");
    assert_string_equal(l.list[1].name, "x");
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        if (ports_read_label(a, bad[i], &l) == 0)
            fail_msg("\"%s\" is read", bad[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_where_it_listens),
        cmocka_unit_test(test_groups),
        cmocka_unit_test(test_labels),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
