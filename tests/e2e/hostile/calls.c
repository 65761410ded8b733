/* System calls from inside an environment, linked statically: each line is a name and how it ended («done», an errno's
 * name, «SIGSYS»). `refused`: what nobody in there may do; `works`: what students' tools need. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/personality.h>
#include <sys/ptrace.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#define CALL(name, ...) say(name, syscall(__VA_ARGS__))
#define ROOM 4096

static void say(const char *name, long rc)
{
    printf("%s %s\n", name, rc >= 0 ? "done" : strerrorname_np(errno));
    fflush(stdout);
}

static long cloned(unsigned long flags)
{
    long pid = syscall(SYS_clone, flags | SIGCHLD, 0, 0, 0, 0);
    if (pid == 0)
        _exit(0);
    if (pid > 0)
        waitpid((pid_t)pid, NULL, 0);
    return pid;
}

static void namespaces(void)
{
    static const struct {
        const char *name;
        unsigned long flag;
    } kinds[] = {{"user", CLONE_NEWUSER}, {"mount", CLONE_NEWNS}, {"net", CLONE_NEWNET},      {"pid", CLONE_NEWPID},
                 {"ipc", CLONE_NEWIPC},   {"uts", CLONE_NEWUTS},  {"cgroup", CLONE_NEWCGROUP}};
    char name[32];
    unsigned long long clone3[11] = {CLONE_NEWUSER, 0, 0, 0, SIGCHLD};

    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        snprintf(name, sizeof(name), "clone-%s", kinds[i].name);
        say(name, cloned(kinds[i].flag));
        snprintf(name, sizeof(name), "unshare-%s", kinds[i].name);
        say(name, unshare((int)kinds[i].flag));
    }
    say("unshare-time", unshare(0x80));
    say("clone-user+net", cloned(CLONE_NEWUSER | CLONE_NEWNET));
    CALL("clone3", SYS_clone3, clone3, sizeof(clone3));
    CALL("setns", SYS_setns, open("/proc/self/ns/user", O_RDONLY), 0);
}

static void mounts(void)
{
    say("mount", mount("x", "/tmp", "tmpfs", 0, NULL));
    say("umount", umount2("/tmp", 0));
    CALL("pivot_root", SYS_pivot_root, "/tmp", "/tmp");
    say("chroot", chroot("/tmp"));
    CALL("fsopen", SYS_fsopen, "tmpfs", 0);
    CALL("fsconfig", SYS_fsconfig, 0, 0, 0, 0, 0);
    CALL("fsmount", SYS_fsmount, 0, 0, 0);
    CALL("fspick", SYS_fspick, AT_FDCWD, "/tmp", 0);
    CALL("open_tree", SYS_open_tree, AT_FDCWD, "/tmp", 0);
    CALL("move_mount", SYS_move_mount, AT_FDCWD, "/tmp", AT_FDCWD, "/tmp", 0);
    CALL("mount_setattr", SYS_mount_setattr, AT_FDCWD, "/tmp", 0, 0, 0);
}

static void kernel(void)
{
    char room[ROOM] = "";

    CALL("add_key", SYS_add_key, "user", "open-hydra", "x", 1, -3);
    CALL("request_key", SYS_request_key, "user", "open-hydra", 0, -3);
    CALL("keyctl", SYS_keyctl, 0, -3, 1);
    CALL("io_uring_setup", SYS_io_uring_setup, 1, room);
    CALL("io_uring_enter", SYS_io_uring_enter, 0, 0, 0, 0, 0);
    CALL("io_uring_register", SYS_io_uring_register, 0, 0, 0, 0);
    CALL("bpf", SYS_bpf, 0, room, 0);
    CALL("perf_event_open", SYS_perf_event_open, room, 0, -1, -1, 0);
    CALL("userfaultfd", SYS_userfaultfd, 1);
    CALL("fanotify_init", SYS_fanotify_init, 0, 0);
    CALL("kexec_load", SYS_kexec_load, 0, 0, 0, 0);
    CALL("init_module", SYS_init_module, room, 0, "");
    CALL("finit_module", SYS_finit_module, 0, "", 0);
    CALL("delete_module", SYS_delete_module, "x", 0);
    CALL("open_by_handle_at", SYS_open_by_handle_at, AT_FDCWD, room, 0);
    CALL("kcmp", SYS_kcmp, getpid(), getpid(), 0, 0, 0);
    CALL("syslog", SYS_syslog, 3, room, sizeof(room));
    CALL("quotactl", SYS_quotactl, 0, 0, 0, 0);
    CALL("reboot", SYS_reboot, 0, 0, 0, 0);
    CALL("personality-read-implies-exec", SYS_personality, READ_IMPLIES_EXEC);
}

static void sockets(void)
{
    static const struct {
        const char *name;
        int family, type, protocol;
    } all[] = {{"vsock", AF_VSOCK, SOCK_STREAM, 0},
               {"packet", AF_PACKET, SOCK_RAW, 0},
               {"alg", AF_ALG, SOCK_SEQPACKET, 0},
               {"bluetooth", AF_BLUETOOTH, SOCK_RAW, 1},
               {"can", AF_CAN, SOCK_RAW, 1},
               {"tipc", AF_TIPC, SOCK_STREAM, 0},
               {"xdp", 44, SOCK_RAW, 0},
               {"key", AF_KEY, SOCK_RAW, 2},
               {"x25", AF_X25, SOCK_SEQPACKET, 0},
               {"appletalk", AF_APPLETALK, SOCK_DGRAM, 0},
               {"raw", AF_INET, SOCK_RAW, IPPROTO_ICMP},
               {"raw6", AF_INET6, SOCK_RAW, IPPROTO_ICMPV6},
               {"sctp", AF_INET, SOCK_STREAM, IPPROTO_SCTP},
               {"seqpacket", AF_INET, SOCK_SEQPACKET, 0},
               {"dccp", AF_INET, 6, IPPROTO_DCCP},
               {"udplite", AF_INET6, SOCK_DGRAM, IPPROTO_UDPLITE},
               {"l2tp", AF_INET, SOCK_DGRAM, 115},
               {"mptcp", AF_INET, SOCK_STREAM, 262},
               {"netfilter", AF_NETLINK, SOCK_RAW, 12},
               {"xfrm", AF_NETLINK, SOCK_RAW, 6},
               {"audit", AF_NETLINK, SOCK_RAW, NETLINK_AUDIT},
               {"uevent", AF_NETLINK, SOCK_DGRAM, NETLINK_KOBJECT_UEVENT},
               {"crypto", AF_NETLINK, SOCK_RAW, NETLINK_CRYPTO}};
    char name[32];
    int pair[2];

    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        snprintf(name, sizeof(name), "socket-%s", all[i].name);
        say(name, socket(all[i].family, all[i].type | SOCK_CLOEXEC, all[i].protocol));
    }
    say("socketpair-tipc", socketpair(AF_TIPC, SOCK_SEQPACKET, 0, pair));
}

/* In the numbers of another processor, getpid() is asked for: who knows them by the filter's default lets all through. */
static void other_numbers(void)
{
#ifdef __x86_64__
    for (int i = 0; i < 2; i++) {
        int status;
        pid_t pid = fork();
        if (pid == 0) {
            long rc;
            if (i == 0)
                __asm__ volatile("int $0x80" : "=a"(rc) : "a"(20) : "memory");
            else
                rc = syscall(0x40000000 | SYS_getpid);
            _exit(rc > 0 ? 1 : 0);
        }
        waitpid(pid, &status, 0);
        printf("%s %s\n", i ? "x32" : "i386", WIFEXITED(status) && WEXITSTATUS(status) == 1 ? "done" : "refused");
    }
#endif
}

/* --- what works ------------------------------------------------------------------------------------------------- */

static long traced(void)
{
    int status;
    pid_t pid = fork();

    if (pid == 0) {
        ptrace(PTRACE_TRACEME, 0, 0, 0);
        raise(SIGSTOP);
        _exit(7);
    }
    if (waitpid(pid, &status, 0) != pid || !WIFSTOPPED(status))
        return -1;
    struct user_regs_struct registers;
    struct iovec room = {&registers, sizeof(registers)};
    if (ptrace(PTRACE_GETREGSET, pid, 1 /* NT_PRSTATUS */, &room) < 0 || ptrace(PTRACE_SINGLESTEP, pid, 0, 0) < 0)
        return -1;
    waitpid(pid, &status, 0);
    ptrace(PTRACE_CONT, pid, 0, 0);
    waitpid(pid, &status, 0);
    return WIFEXITED(status) && WEXITSTATUS(status) == 7 ? 0 : -1;
}

/* A debugger that comes later: attaches, reads and writes memory. */
static long attached(void)
{
    static volatile int secret = 1;
    int status, seen = 0, wanted = 42;
    pid_t pid = fork();

    if (pid == 0) {
        secret = 2;
        while (secret != 42)
            usleep(1000);
        _exit(7);
    }
    struct iovec here = {&seen, sizeof(seen)}, there = {(void *)&secret, sizeof(secret)},
                 new = {&wanted, sizeof(wanted)};
    while (seen != 2)
        if (process_vm_readv(pid, &here, 1, &there, 1, 0) < 0)
            return -1;
    if (ptrace(PTRACE_SEIZE, pid, 0, 0) < 0 || ptrace(PTRACE_INTERRUPT, pid, 0, 0) < 0)
        return -1;
    waitpid(pid, &status, 0);
    if (process_vm_writev(pid, &new, 1, &there, 1, 0) < 0 || ptrace(PTRACE_DETACH, pid, 0, 0) < 0)
        return -1;
    waitpid(pid, &status, 0);
    return WIFEXITED(status) && WEXITSTATUS(status) == 7 ? 0 : -1;
}

static void *thread(void *arg)
{
    sem_post(arg);
    return arg;
}

static long threads(void)
{
    pthread_t all[32];
    sem_t done;

    sem_init(&done, 0, 0);
    for (int i = 0; i < 32; i++)
        if (pthread_create(&all[i], NULL, thread, &done) != 0)
            return -1;
    for (int i = 0; i < 32; i++)
        pthread_join(all[i], NULL);
    return sem_trywait(&done);
}

/* How PyTorch's workers hand tensors on: shared memory whose descriptor goes through a unix socket. */
static long shared_memory(void)
{
    int pair[2], fd = shm_open("/open-hydra-test", O_CREAT | O_RDWR, 0600);
    char room[CMSG_SPACE(sizeof(int))] = "", byte = 'x';
    struct iovec one = {&byte, 1};
    struct msghdr m = {.msg_iov = &one, .msg_iovlen = 1, .msg_control = room, .msg_controllen = sizeof(room)};

    shm_unlink("/open-hydra-test");
    if (fd < 0 || ftruncate(fd, 1 << 20) < 0 || socketpair(AF_UNIX, SOCK_STREAM, 0, pair) < 0)
        return -1;
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    *c = (struct cmsghdr){.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof(int))};
    memcpy(CMSG_DATA(c), &fd, sizeof(fd));
    if (sendmsg(pair[0], &m, 0) < 0)
        return -1;
    pid_t pid = fork();
    if (pid == 0) {
        recvmsg(pair[1], &m, 0);
        memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof(fd));
        char *p = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        p[12345] = 7;
        _exit(0);
    }
    waitpid(pid, NULL, 0);
    char *p = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    return p != MAP_FAILED && p[12345] == 7 ? 0 : -1;
}

static long loopback(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof(a);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), fd = socket(AF_INET, SOCK_STREAM, IPPROTO_TCP);

    if (bind(listener, (struct sockaddr *)&a, n) < 0 || listen(listener, 1) < 0 ||
        getsockname(listener, (struct sockaddr *)&a, &n) < 0)
        return -1;
    return connect(fd, (struct sockaddr *)&a, n);
}

static void works(void)
{
    struct ifaddrs *all;

    say("ptrace", traced());
    say("attach", attached());
    say("personality", personality(ADDR_NO_RANDOMIZE));
    say("threads", threads());
    say("shared-memory", shared_memory());
    say("system-v", shmget(IPC_PRIVATE, 4096, 0600));
    say("loopback", loopback());
    say("interfaces", getifaddrs(&all));
    say("socket-udp", socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, IPPROTO_UDP));
    say("socket-tcp6", socket(AF_INET6, SOCK_STREAM, 0));
    CALL("memfd_create", SYS_memfd_create, "x", 0);
    CALL("pidfd_open", SYS_pidfd_open, getpid(), 0);
    CALL("membarrier", SYS_membarrier, 0, 0, 0);
    CALL("sched_getaffinity", SYS_sched_getaffinity, 0, sizeof(cpu_set_t), &(cpu_set_t){0});
    CALL("statx", SYS_statx, AT_FDCWD, "/", 0, 0, (char[256]){0});
    CALL("get_mempolicy", SYS_get_mempolicy, 0, 0, 0, 0, 0);
}

int main(int argc, char **argv)
{
    if (strcmp(argv[1], "works") == 0) {
        works();
        return 0;
    }
    namespaces();
    mounts();
    kernel();
    sockets();
    other_numbers();
    return 0;
}
