#include "unpack/sealed.h"

#include <errno.h>
#include <linux/landlock.h>
#include <signal.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/attributes.h"
#include "base/call_filter.h"
#include "unpack/wire.h"

/* --- Limits --- */

#define NICER 10
#define DESCRIPTORS 16
#define SECONDS_ANYWAY 120
#define BYTES_PER_SECOND (UINT64_C(1) << 20) /* the slowest compression, on a slow machine */

static int limit(int what, rlim_t value, struct error **err)
{
    const struct rlimit l = {value, value};

    return setrlimit((__rlimit_resource_t)what, &l) < 0 ? error_errno(err, errno, "setrlimit %d", what) : 0;
}

static int limit_memory(struct error **err)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    /* The sanitizer's own map is larger than that: see __asan_default_options in main.c. */
    return 0;
#else
    return limit(RLIMIT_AS, UNPACK_MEMORY_BYTES, err);
#endif
}

int sealed_begin(int parent, const struct unpack_limits *limits, struct error **err)
{
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return error_errno(err, errno, "prctl");
    if (getppid() != parent)
        return error_set(err, REASON_INTERNAL, "whoever started it is gone");
    if (syscall(SYS_close_range, UNPACK_FOLDER + 1, ~0U, 0) < 0)
        return error_errno(err, errno, "close_range");
    umask(022);
    /* Requests come first. */
    setpriority(PRIO_PROCESS, 0, getpriority(PRIO_PROCESS, 0) + NICER);
    if (limit(RLIMIT_CORE, 0, err) < 0 || limit(RLIMIT_NOFILE, DESCRIPTORS, err) < 0 ||
        limit(RLIMIT_FSIZE, limits->bytes, err) < 0 || limit_memory(err) < 0)
        return -1;
    return limit(RLIMIT_CPU, SECONDS_ANYWAY + limits->bytes / BYTES_PER_SECOND, err);
}

/* --- Files --- */

#define NEEDED (LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_DIR)

/* struct landlock_ruleset_attr, as far as these kernels know it. */
struct ruleset {
    uint64_t files, network, scoped;
};

/* The kernel refuses bits and sizes that it does not know. */
static struct ruleset all_of(long version, size_t *size)
{
    static const unsigned files[] = {0, 13, 14, 15, 15, 16}; /* bits, by version; the later as the fifth */
    struct ruleset r = {.files = (1ULL << files[version > 5 ? 5 : version]) - 1};

    *size = sizeof(r.files);
    if (version >= 4) {
        r.network = 3; /* bind and connect by TCP */
        *size += sizeof(r.network);
    }
    if (version >= 6) {
        r.scoped = 3; /* abstract sockets and signals */
        *size += sizeof(r.scoped);
    }
    return r;
}

static int restrict_to(int rules, int folder)
{
    const struct landlock_path_beneath_attr beneath = {.allowed_access = NEEDED, .parent_fd = folder};

    if (syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &beneath, 0) < 0)
        return -1;
    return (int)syscall(SYS_landlock_restrict_self, rules, 0);
}

static int seal_files(int folder, struct error **err)
{
    long version = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    size_t size;

    /* Not built in, not switched on, or filtered away by a container's engine: then the rest has to do. */
    if (version <= 0)
        return 0;
    struct ruleset all = all_of(version, &size);
    int rules = (int)syscall(SYS_landlock_create_ruleset, &all, size, 0);
    if (rules < 0 || restrict_to(rules, folder) < 0)
        return error_errno(err, errno, "Landlock");
    close(rules);
    return 0;
}

/* --- System calls --- */

static const int allowed[] = {
    SYS_brk,      SYS_clock_gettime, SYS_close,       SYS_exit,         SYS_exit_group, SYS_fstat,
    SYS_futex,    SYS_getrandom,     SYS_lseek,       SYS_madvise,      SYS_mkdirat,    SYS_mmap,
    SYS_mprotect, SYS_mremap,        SYS_munmap,      SYS_newfstatat, /* the C library's fstat */
    SYS_openat2,  SYS_pread64,       SYS_read,        SYS_rt_sigreturn, SYS_write,
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    SYS_getpid,   SYS_gettid,        SYS_sched_yield, SYS_sigaltstack,
#endif
};

#ifdef CALL_FILTER_ARCHITECTURE
static int seal_calls(struct error **err)
{
    struct sock_filter program[CALL_FILTER_HEAD_LEN + 2 * ARRAY_SIZE(allowed) + 1] = {
        CALL_FILTER_HEAD, /* those of x32 are none of the list */
    };
    struct sock_filter *at = program + CALL_FILTER_HEAD_LEN;

    for (size_t i = 0; i < ARRAY_SIZE(allowed); i++) {
        *at++ = (struct sock_filter)CALL_FILTER_UNLESS_EQUAL((unsigned)allowed[i], 1);
        *at++ = (struct sock_filter)CALL_FILTER_ALLOW;
    }
    *at = (struct sock_filter)CALL_FILTER_REFUSE(EPERM);
    const struct sock_fprog filter = {.len = ARRAY_SIZE(program), .filter = program};
    return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) < 0 ? error_errno(err, errno, "filter system calls") : 0;
}
#else
static int seal_calls(struct error **err)
{
    return 0;
}
#endif

int sealed_finish(int folder, struct error **err)
{
    return seal_files(folder, err) < 0 ? -1 : seal_calls(err);
}
