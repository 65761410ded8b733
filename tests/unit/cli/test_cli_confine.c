/* What a confined process can still do, and what not. */
#include "cli/confine.h"

#include <errno.h>
#include <net/if.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "cli/apart.h"
#include "cli/become.h"

#define NOBODY 65534
#define EXPECT(condition)                                                                                              \
    do {                                                                                                               \
        if (!(condition))                                                                                              \
            return error_set(err, REASON_INTERNAL, "line %d: %s (errno %d)", __LINE__, #condition, errno);             \
    } while (0)

static bool refused(long rc, int with)
{
    return rc == -1 && errno == with;
}

static int try_calls(void *arg, struct error **err)
{
    int pair[2];

    if (become(geteuid() == 0 ? NOBODY : geteuid(), err) < 0 || confine_calls(err) < 0)
        return -1;
    EXPECT(refused(socket(AF_INET, SOCK_STREAM, 0), EAFNOSUPPORT));
    EXPECT(refused(socket(AF_INET6, SOCK_STREAM, 0), EAFNOSUPPORT));
    EXPECT(refused(socket(AF_NETLINK, SOCK_RAW, 0), EAFNOSUPPORT));
    EXPECT(refused(socket(AF_PACKET, SOCK_RAW, 0), EAFNOSUPPORT));
    EXPECT(refused(socket(AF_VSOCK, SOCK_STREAM, 0), EAFNOSUPPORT));
    EXPECT(refused(unshare(CLONE_NEWUSER), EPERM));
    EXPECT(refused(unshare(CLONE_FILES), EPERM));
    EXPECT(refused(setns(0, 0), EPERM));
    EXPECT(refused(ptrace(PTRACE_TRACEME, 0, NULL, NULL), EPERM));
    EXPECT(refused(mount("none", "/", "tmpfs", 0, NULL), EPERM));
    EXPECT(refused(syscall(SYS_bpf, 0, NULL, 0), EPERM));
    EXPECT(refused(syscall(SYS_keyctl, 0, 0, 0, 0, 0), EPERM));
    EXPECT(refused(syscall(SYS_add_key, "user", "x", "y", 1, -4), EPERM));
    EXPECT(refused(syscall(SYS_io_uring_setup, 1, NULL), EPERM));
    EXPECT(refused(syscall(SYS_userfaultfd, 0), EPERM));
    EXPECT(refused(syscall(SYS_perf_event_open, NULL, 0, -1, -1, 0), EPERM));
    EXPECT(refused(syscall(SYS_process_vm_readv, getpid(), NULL, 0, NULL, 0, 0), EPERM));
    EXPECT(refused(syscall(SYS_open_by_handle_at, -1, NULL, 0), EPERM));
    EXPECT(refused(syscall(SYS_clone3, NULL, 0), ENOSYS));
    EXPECT(refused(syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, NULL, NULL, NULL, NULL), EPERM));
    EXPECT(refused(syscall(SYS_clone, CLONE_NEWNET | SIGCHLD, NULL, NULL, NULL, NULL), EPERM));
    /* What it lives by. */
    EXPECT(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
    EXPECT(socket(AF_UNIX, SOCK_STREAM, 0) >= 0);
    pid_t child = fork();
    if (child == 0)
        _exit(0);
    EXPECT(child > 0 && waitpid(child, NULL, 0) == child);
    return 0;
}

/* As root, whom nothing but the filter keeps from it. */
static int try_namespaces(void *arg, struct error **err)
{
    static const long kinds[] = {CLONE_NEWNS,   CLONE_NEWCGROUP, CLONE_NEWUTS, CLONE_NEWIPC,
                                 CLONE_NEWUSER, CLONE_NEWPID,    CLONE_NEWNET};

    if (confine_calls(err) < 0)
        return -1;
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
        EXPECT(refused(syscall(SYS_clone, kinds[i] | SIGCHLD, NULL, NULL, NULL, NULL), EPERM));
    EXPECT(refused(mount("none", "/nowhere", "tmpfs", 0, NULL), EPERM));
    EXPECT(refused(umount2("/nowhere", 0), EPERM));
    EXPECT(refused(chroot("/"), EPERM));
    EXPECT(refused(sethostname("x", 1), EPERM));
    EXPECT(refused(syscall(SYS_setns, 0, 0), EPERM));
    EXPECT(refused(syscall(SYS_fsopen, "tmpfs", 0), EPERM));
    EXPECT(refused(syscall(SYS_init_module, NULL, 0, ""), EPERM));
    EXPECT(refused(syscall(SYS_settimeofday, NULL, NULL), EPERM));
    /* None of them gets as far as to find its arguments senseless. */
    static const long all[] = {SYS_acct,
                               SYS_adjtimex,
                               SYS_clock_adjtime,
                               SYS_clock_settime,
                               SYS_delete_module,
                               SYS_finit_module,
                               SYS_fsconfig,
                               SYS_fsmount,
                               SYS_fspick,
                               SYS_io_uring_enter,
                               SYS_kcmp,
                               SYS_kexec_load,
                               SYS_io_uring_register,
                               SYS_mount_setattr,
                               SYS_move_mount,
                               SYS_open_tree,
                               SYS_pidfd_getfd,
                               SYS_name_to_handle_at,
                               SYS_pivot_root,
                               SYS_process_vm_writev,
                               SYS_quotactl,
                               SYS_request_key,
                               SYS_open_by_handle_at,
                               SYS_setdomainname,
                               SYS_swapoff,
                               SYS_swapon,
                               SYS_syslog,
                               SYS_reboot,
                               SYS_userfaultfd,
                               SYS_ptrace};
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        if (!refused(syscall(all[i], -1, -1, -1, -1, -1), EPERM))
            return error_set(err, REASON_INTERNAL, "call %ld is not refused", all[i]);
#ifdef __x86_64__
    EXPECT(refused(syscall(0x40000000 | SYS_getpid), EPERM)); /* by the number of x32 */
#endif
    return 0;
}

static int try_network(void *arg, struct error **err)
{
    struct ifreq lo = {.ifr_name = "lo"};
    int fd;

    if (confine_network(err) < 0)
        return -1;
    EXPECT((fd = socket(AF_INET, SOCK_DGRAM, 0)) >= 0);
    EXPECT(ioctl(fd, SIOCGIFFLAGS, &lo) == 0);
    EXPECT((lo.ifr_flags & IFF_UP) == 0);
    EXPECT(if_nametoindex("eth0") == 0);
    return 0;
}

static int try_become(void *arg, struct error **err)
{
    if (become(NOBODY, err) < 0)
        return -1;
    EXPECT(geteuid() == NOBODY && getuid() == NOBODY && getegid() == NOBODY && getgid() == NOBODY);
    EXPECT(getgroups(0, NULL) == 0);
    EXPECT(refused(setuid(0), EPERM));
    EXPECT(refused(chroot("/"), EPERM));
    EXPECT(refused(setgid(0), EPERM));
    /* A second time: it is that already. */
    return become(NOBODY, err);
}

static void run(int (*work)(void *arg, struct error **err))
{
    struct error *err = NULL;

    if (apart(work, NULL, &err) < 0)
        fail_msg("%s", err->message);
}

static void calls(void **state)
{
    run(try_calls);
}

static void namespaces(void **state)
{
    if (geteuid() != 0)
        skip();
    run(try_namespaces);
}

static void network(void **state)
{
    if (geteuid() != 0)
        skip();
    run(try_network);
}

static void another_user(void **state)
{
    if (geteuid() != 0)
        skip();
    run(try_become);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(calls),
        cmocka_unit_test(namespaces),
        cmocka_unit_test(network),
        cmocka_unit_test(another_user),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
