#include "cli/confine.h"

#include <errno.h>
#include <sched.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/attributes.h"
#include "base/call_filter.h"
#include "base/log.h"
#include "cli/apart.h"
#include "cli/rootless.h"

/* --- Network --- */

static int enter_without_root(void *arg, struct error **err)
{
    return own_user_namespace(CLONE_NEWNET, err);
}

int confine_network(struct error **err)
{
    _cleanup_error_ struct error *why = NULL;

    if (geteuid() == 0)
        return unshare(CLONE_NEWNET) < 0 ? error_errno(err, errno, "make a network namespace") : 0;
    /* Tried by another process: halfway there is no way back. */
    if (apart(enter_without_root, NULL, &why) == 0)
        return enter_without_root(NULL, err);
    log_info("the server keeps the network, as this machine gives ordinary users no namespaces: %s", why->message);
    return 0;
}

/* --- System calls --- */

#define NEW_NAMESPACES                                                                                                 \
    (CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET)

static const int refused[] = {
    SYS_acct,
    SYS_add_key,
    SYS_adjtimex,
    SYS_bpf,
    SYS_chroot,
    SYS_clock_adjtime,
    SYS_clock_settime,
    SYS_delete_module,
    SYS_finit_module,
    SYS_fsconfig,
    SYS_fsmount,
    SYS_fsopen,
    SYS_fspick,
    SYS_init_module,
    SYS_io_uring_enter,
    SYS_io_uring_register,
    SYS_io_uring_setup,
    SYS_kcmp,
    SYS_kexec_load,
    SYS_keyctl,
    SYS_mount,
    SYS_move_mount,
    SYS_mount_setattr,
    SYS_name_to_handle_at,
    SYS_open_by_handle_at,
    SYS_open_tree,
    SYS_perf_event_open,
    SYS_pidfd_getfd,
    SYS_pivot_root,
    SYS_process_vm_readv,
    SYS_process_vm_writev,
    SYS_ptrace,
    SYS_quotactl,
    SYS_reboot,
    SYS_request_key,
    SYS_setdomainname,
    SYS_sethostname,
    SYS_setns,
    SYS_settimeofday,
    SYS_swapoff,
    SYS_swapon,
    SYS_syslog,
    SYS_umount2,
    SYS_unshare,
    SYS_userfaultfd,
};

#ifdef CALL_FILTER_ARCHITECTURE
/* Before the list. */
static const struct sock_filter filter_head[] = {
    CALL_FILTER_HEAD, CALL_FILTER_UNLESS_SET(0x40000000, 1),
    CALL_FILTER_REFUSE(EPERM), /* the same calls by other numbers (x32) */
};
/* After it: what depends on an argument. */
static const struct sock_filter filter_tail[] = {
    /* Its flags are in memory, where no filter can look; the C library then takes the older call. */
    CALL_FILTER_UNLESS_EQUAL(SYS_clone3, 1),
    CALL_FILTER_REFUSE(ENOSYS),
    /* No namespaces of one's own. */
    CALL_FILTER_UNLESS_EQUAL(SYS_clone, 3),
    CALL_FILTER_LOAD(args[0]),
    CALL_FILTER_UNLESS_SET(NEW_NAMESPACES, 1),
    CALL_FILTER_REFUSE(EPERM),
    CALL_FILTER_LOAD(nr),
    /* No sockets but unix ones. */
    CALL_FILTER_UNLESS_EQUAL(SYS_socket, 3),
    CALL_FILTER_LOAD(args[0]),
    CALL_FILTER_IF_EQUAL(AF_UNIX, 1),
    CALL_FILTER_REFUSE(EAFNOSUPPORT),
    /* All else. */
    CALL_FILTER_ALLOW,
};

int confine_calls(struct error **err)
{
    struct sock_filter program[ARRAY_SIZE(filter_head) + 2 * ARRAY_SIZE(refused) + ARRAY_SIZE(filter_tail)];
    struct sock_filter *at = mempcpy(program, filter_head, sizeof(filter_head));

    for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
        *at++ = (struct sock_filter)CALL_FILTER_UNLESS_EQUAL((unsigned)refused[i], 1);
        *at++ = (struct sock_filter)CALL_FILTER_REFUSE(EPERM);
    }
    memcpy(at, filter_tail, sizeof(filter_tail));
    const struct sock_fprog filter = {.len = ARRAY_SIZE(program), .filter = program};
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) < 0)
        return error_errno(err, errno, "filter system calls");
    return 0;
}
#else
int confine_calls(struct error **err)
{
    log_info("system calls are not filtered on this kind of processor");
    return 0;
}
#endif
