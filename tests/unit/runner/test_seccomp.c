/* Which system calls an environment has, by the profile as it goes to an engine. */
#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/json.h"
#include "runner/engine/seccomp.h"

static yyjson_doc *profile;

static int setup(void **state)
{
    profile = json_parse(seccomp_profiles[0].json, NULL);
    return profile ? 0 : -1;
}

static int teardown(void **state)
{
    yyjson_doc_free(profile);
    return 0;
}

static bool is_named(yyjson_val *rule, const char *call)
{
    yyjson_val *name;
    size_t i, n;

    yyjson_arr_foreach (yyjson_obj_get(rule, "names"), i, n, name) {
        if (yyjson_equals_str(name, call))
            return true;
    }
    return false;
}

/* As libseccomp compares. */
static bool fits(yyjson_val *condition, const uint64_t *args)
{
    uint64_t arg = args[yyjson_get_uint(yyjson_obj_get(condition, "index"))];
    uint64_t value = yyjson_get_uint(yyjson_obj_get(condition, "value"));
    yyjson_val *op = yyjson_obj_get(condition, "op");

    if (yyjson_equals_str(op, "SCMP_CMP_EQ"))
        return arg == value;
    if (yyjson_equals_str(op, "SCMP_CMP_GT"))
        return arg > value;
    assert_true(yyjson_equals_str(op, "SCMP_CMP_MASKED_EQ"));
    return (arg & value) == yyjson_get_uint(yyjson_obj_get(condition, "valueTwo"));
}

static bool all_fit(yyjson_val *rule, const uint64_t *args)
{
    yyjson_val *condition;
    size_t i, n;

    yyjson_arr_foreach (yyjson_obj_get(rule, "args"), i, n, condition) {
        if (!fits(condition, args))
            return false;
    }
    return true;
}

/* 0: it is let through; or the error. */
static int answer(const char *call, uint64_t a, uint64_t b, uint64_t c)
{
    const uint64_t args[] = {a, b, c};
    yyjson_val *root = yyjson_doc_get_root(profile), *rule;
    int error = (int)json_int_at(root, "defaultErrnoRet", 0);
    size_t i, n;

    yyjson_arr_foreach (yyjson_obj_get(root, "syscalls"), i, n, rule) {
        if (!is_named(rule, call) || !all_fit(rule, args))
            continue;
        if (yyjson_equals_str(yyjson_obj_get(rule, "action"), "SCMP_ACT_ALLOW"))
            return 0;
        error = (int)json_int_at(rule, "errnoRet", 0);
    }
    return error;
}

static void all_answer(const char *calls, int error)
{
    struct str rest = str_from(calls), one;

    while (str_split(&rest, ' ', &one)) {
        _cleanup_free_ char *call = xstrndup(one.p, one.n);
        if (answer(call, 0, 0, 0) != error)
            fail_msg("%s: %d instead of %d", call, answer(call, 0, 0, 0), error);
    }
}

static void test_what_there_is(void **state)
{
    assert_string_equal(json_str_at(yyjson_doc_get_root(profile), "defaultAction"), "SCMP_ACT_ERRNO");
    all_answer("read execve mmap futex openat ptrace pidfd_getfd landlock_restrict_self memfd_create seccomp", 0);
}

/* Ways into other namespaces, to the host's devices, clocks and modules. */
static void test_what_is_not_permitted(void **state)
{
    all_answer("mount umount2 move_mount open_tree mount_setattr fsopen fsmount pivot_root chroot unshare setns bpf "
               "perf_event_open userfaultfd init_module finit_module delete_module kexec_load kexec_file_load reboot "
               "settimeofday clock_settime swapon sethostname open_by_handle_at iopl ioperm syslog quotactl kcmp",
               EPERM);
}

/* Where the kernel's holes are found: as if it were an older one. */
static void test_what_does_not_exist(void **state)
{
    all_answer("io_uring_setup io_uring_enter io_uring_register add_key keyctl request_key clone3 vm86 modify_ldt "
               "uselib lookup_dcookie what_comes_next",
               ENOSYS);
}

static void test_new_namespaces(void **state)
{
    static const uint64_t flags[] = {CLONE_NEWNS,   CLONE_NEWCGROUP, CLONE_NEWUTS, CLONE_NEWIPC,
                                     CLONE_NEWUSER, CLONE_NEWPID,    CLONE_NEWNET};

    assert_int_equal(answer("clone", 17, 0, 0), 0);       /* fork */
    assert_int_equal(answer("clone", 0x3d0f00, 0, 0), 0); /* a thread */
    assert_int_equal(answer("clone", CLONE_VM | CLONE_VFORK, 0, 0), 0);
    for (size_t i = 0; i < ARRAY_SIZE(flags); i++) {
        assert_int_equal(answer("clone", flags[i] | 17, 0, 0), ENOSYS);
        assert_int_equal(answer("clone", flags[i] | CLONE_VM, 0, 0), ENOSYS);
    }
}

static void test_sockets(void **state)
{
    static const struct {
        uint64_t family, type, protocol;
        int error;
    } cases[] = {{AF_UNIX, SOCK_STREAM, 0, 0},
                 {AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, 0},
                 {AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, 0},
                 {AF_INET, SOCK_STREAM, 6, 0},
                 {AF_INET6, SOCK_DGRAM, 17, 0},
                 {AF_INET, SOCK_DGRAM, 1, 0},
                 {AF_INET6, SOCK_DGRAM, 58, 0},
                 {AF_NETLINK, SOCK_RAW, 0, 0},
                 {AF_NETLINK, SOCK_RAW, 12, ENOSYS}, /* the firewall's */
                 {AF_NETLINK, SOCK_RAW, 4, ENOSYS},
                 {AF_INET, SOCK_RAW, 1, ENOSYS},
                 {AF_INET, SOCK_STREAM, 132, ENOSYS}, /* SCTP: a module */
                 {AF_INET, SOCK_STREAM, 17, ENOSYS},
                 {AF_INET6, SOCK_DGRAM, 1, ENOSYS},
                 {AF_INET6, SOCK_DGRAM, 136, ENOSYS},
                 {AF_AX25, SOCK_SEQPACKET, 0, ENOSYS},
                 {AF_PACKET, SOCK_RAW, 0, EAFNOSUPPORT},
                 {AF_ALG, SOCK_SEQPACKET, 0, EAFNOSUPPORT},
                 {AF_VSOCK, SOCK_STREAM, 0, EAFNOSUPPORT},
                 {AF_TIPC, SOCK_SEQPACKET, 0, EAFNOSUPPORT}};

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        if (answer("socket", cases[i].family, cases[i].type, cases[i].protocol) != cases[i].error)
            fail_msg("case %zu: not %d", i, cases[i].error);
    assert_int_equal(answer("socketpair", AF_UNIX, SOCK_STREAM, 0), 0);
    assert_int_equal(answer("socketpair", AF_TIPC, SOCK_STREAM, 0), ENOSYS);
}

/* Neither executable memory by the way, nor another system's calls. */
static void test_personalities(void **state)
{
    static const uint64_t refused[] = {0x0400000, 0x0100000, 0x0200000, 0x4, 0x0440000, 0x1};

    assert_int_equal(answer("personality", 0xffffffff, 0, 0), 0);
    assert_int_equal(answer("personality", 0x0040000, 0, 0), 0);
    for (size_t i = 0; i < ARRAY_SIZE(refused); i++)
        assert_int_equal(answer("personality", refused[i], 0, 0), ENOSYS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_there_is),
        cmocka_unit_test(test_what_is_not_permitted),
        cmocka_unit_test(test_what_does_not_exist),
        cmocka_unit_test(test_new_namespaces),
        cmocka_unit_test(test_sockets),
        cmocka_unit_test(test_personalities),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
