#!/usr/bin/env python3
"""Writes the seccomp profile of environments: seccomp.py OUT.json

What is not named does not exist: it answers ENOSYS, as an older kernel would, and programs fall back to something else.
So there are no namespaces and mounts of one's own, no keyrings, io_uring, bpf, perf, userfaultfd, vsock, modules: the
parts of the kernel in which its local holes are found. Debuggers work on what belongs to the same user (the kernel
checks that in ptrace, process_vm_readv and pidfd_getfd by itself). The processor's own numbers alone are known (no
i386, no x32): an engine's filter ends who uses others. Names that a processor or libseccomp lacks are passed over.
"""
import json
import sys

EPERM, ENOSYS, EAFNOSUPPORT = 1, 38, 97
UNIX, INET, INET6, NETLINK = 1, 2, 10, 16
STREAM, DGRAM, TYPE_MASK = 1, 2, 0xF
ICMP, TCP, UDP, ICMPV6, ROUTE = 1, 6, 17, 58, 0
# CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET. (0x80, NEWTIME, is part of the signal in clone.)
NEW_NAMESPACES = 0x7E020000
# 0, PER_LINUX32, UNAME26, both, «what is it?», and ADDR_NO_RANDOMIZE, without which gdb finds other addresses each run.
PERSONALITIES = (0x0, 0x8, 0x20000, 0x20008, 0xFFFFFFFF, 0x40000)

FILES = """
access chdir chmod chown close close_range copy_file_range creat dup dup2 dup3 faccessat faccessat2 fadvise64 fallocate
fchdir fchmod fchmodat fchmodat2 fchown fchownat fcntl fdatasync fgetxattr flistxattr flock fremovexattr fsetxattr fstat
fstatfs fsync ftruncate futimesat getcwd getdents getdents64 getxattr getxattrat inotify_add_watch inotify_init
inotify_init1 inotify_rm_watch ioctl lchown lgetxattr link linkat listxattr listxattrat llistxattr lremovexattr lseek
lsetxattr lstat mkdir mkdirat mknod mknodat name_to_handle_at newfstatat open openat openat2 pread64 preadv preadv2
pwrite64 pwritev pwritev2 read readahead readlink readlinkat readv removexattr removexattrat rename renameat renameat2
rmdir sendfile setxattr setxattrat splice stat statfs statx symlink symlinkat sync sync_file_range syncfs tee truncate
umask unlink unlinkat utime utimensat utimes write writev
"""
WAITING = """
epoll_create epoll_create1 epoll_ctl epoll_ctl_old epoll_pwait epoll_pwait2 epoll_wait epoll_wait_old eventfd eventfd2
io_cancel io_destroy io_getevents io_pgetevents io_setup io_submit pause pipe pipe2 poll ppoll pselect6 select signalfd
signalfd4 timerfd_create timerfd_gettime timerfd_settime
"""
MEMORY = """
brk cachestat get_mempolicy madvise map_shadow_stack mbind membarrier memfd_create mincore mlock mlock2 mlockall mmap
mprotect mremap mseal msync munlock munlockall munmap pkey_alloc pkey_free pkey_mprotect process_madvise
process_mrelease remap_file_pages set_mempolicy set_mempolicy_home_node
"""
# execve and the ids: the engine's own way into the container passes this filter too.
PROCESSES = """
arch_prctl capget capset execve execveat exit exit_group fork get_robust_list get_thread_area getegid geteuid getgid
getgroups getpgid getpgrp getpid getppid getpriority getresgid getresuid getrlimit getrusage getsid gettid getuid
ioprio_get ioprio_set kill landlock_add_rule landlock_create_ruleset landlock_restrict_self pidfd_open pidfd_send_signal
prctl prlimit64 restart_syscall rseq rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn
rt_sigsuspend rt_sigtimedwait rt_tgsigqueueinfo sched_get_priority_max sched_get_priority_min sched_getaffinity
sched_getattr sched_getparam sched_getscheduler sched_rr_get_interval sched_setaffinity sched_setattr sched_setparam
sched_setscheduler sched_yield seccomp set_robust_list set_thread_area set_tid_address setfsgid setfsuid setgid
setgroups setitimer getitimer setpgid setpriority setregid setresgid setresuid setreuid setrlimit setsid setuid
sigaltstack tgkill time times tkill uname vfork wait4 waitid
"""
TIME_AND_THREADS = """
alarm clock_getres clock_gettime clock_nanosleep futex futex_requeue futex_wait futex_waitv futex_wake getcpu
getrandom gettimeofday nanosleep sysinfo timer_create timer_delete timer_getoverrun timer_gettime timer_settime
"""
BETWEEN_PROCESSES = """
accept accept4 bind connect getpeername getsockname getsockopt listen mq_getsetattr mq_notify mq_open mq_timedreceive
mq_timedsend mq_unlink msgctl msgget msgrcv msgsnd recvfrom recvmmsg recvmsg semctl semget semop semtimedop sendmmsg
sendmsg sendto setsockopt shmat shmctl shmdt shmget shutdown
"""
DEBUGGERS = "ptrace process_vm_readv process_vm_writev pidfd_getfd"
# Known to every kernel: who tries them reads «not permitted» rather than «no such call».
REFUSED = """
acct adjtimex bpf chroot clock_adjtime clock_settime delete_module fanotify_init finit_module fsconfig fsmount fsopen
fspick init_module iopl ioperm kcmp kexec_file_load kexec_load mount mount_setattr move_mount open_by_handle_at
open_tree perf_event_open pivot_root quotactl quotactl_fd reboot setdomainname sethostname setns settimeofday swapoff
swapon syslog umount2 unshare userfaultfd vhangup
"""


def rule(names, action="SCMP_ACT_ALLOW", errno=None, *args):
    one = {"names": names.split(), "action": action}
    if errno is not None:
        one["errnoRet"] = errno
    one["args"] = [dict(zip(("index", "value", "valueTwo", "op"), arg)) for arg in args]
    return one


def equal(index, value):
    return index, value, 0, "SCMP_CMP_EQ"


def masked(index, mask, value):
    return index, mask, value, "SCMP_CMP_MASKED_EQ"


def internet():
    """TCP, UDP and echo requests. A stranger protocol's number would have the kernel load its module."""
    for family, echo in ((INET, ICMP), (INET6, ICMPV6)):
        for kind, protocols in ((STREAM, (0, TCP)), (DGRAM, (0, UDP, echo))):
            for protocol in protocols:
                yield rule("socket", "SCMP_ACT_ALLOW", None, equal(0, family), masked(1, TYPE_MASK, kind), equal(2, protocol))


def profile():
    return {
        "defaultAction": "SCMP_ACT_ERRNO",
        "defaultErrnoRet": ENOSYS,
        "archMap": [{"architecture": "SCMP_ARCH_X86_64", "subArchitectures": []}, {"architecture": "SCMP_ARCH_AARCH64", "subArchitectures": []}],
        "syscalls": [
            *map(rule, (FILES, WAITING, MEMORY, PROCESSES, TIME_AND_THREADS, BETWEEN_PROCESSES, DEBUGGERS)),
            rule("clone", "SCMP_ACT_ALLOW", None, masked(0, NEW_NAMESPACES, 0)),
            # Its flags are in memory, where no filter sees them: the C library takes clone then.
            rule("clone3", "SCMP_ACT_ERRNO", ENOSYS),
            *(rule("personality", "SCMP_ACT_ALLOW", None, equal(0, value)) for value in PERSONALITIES),
            rule("socket socketpair", "SCMP_ACT_ALLOW", None, equal(0, UNIX)),
            rule("socket", "SCMP_ACT_ALLOW", None, equal(0, NETLINK), equal(2, ROUTE)),
            *internet(),
            rule("socket", "SCMP_ACT_ERRNO", EAFNOSUPPORT, (0, NETLINK, 0, "SCMP_CMP_GT")),
            rule(REFUSED, "SCMP_ACT_ERRNO", EPERM),
        ],
    }


with open(sys.argv[1], "w", encoding="ascii") as out:
    json.dump(profile(), out)
    out.write("\n")
