#include "runner/engine/conmon.h"

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/io.h"

/*
 * What an environment prints is read by a process of Podman's (conmon), which is outside of the environment's limits: a
 * flood would cost a third of a processor that nobody gave away. So conmon gets a share of its own; when that is used
 * up the pipe fills, and who prints waits. Where its control group is no group of its own (Podman started by a unit of
 * systemd's, or no root), it runs only when nobody else there wants the processor.
 */
#define PERIOD_US "100000"
#define SHARE_US "10000" /* a tenth of a processor: some 40 MB a second */
#define CGROUP1 "/sys/fs/cgroup/cpu"
#define GROUPS CGROUP1 "/open-hydra"

static bool put(const char *folder, const char *file, const char *text)
{
    _cleanup_free_ char *path = xasprintf("%s/%s", folder, file);
    _cleanup_close_ int fd = open(path, O_WRONLY | O_CLOEXEC);
    return fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
}

/* Version 1: a group that we make. */
static char *own_group(const char *instance)
{
    return xasprintf(GROUPS "/%s", instance);
}

static bool move_to_own_group(const char *instance, pid_t pid)
{
    _cleanup_free_ char *group = own_group(instance), *number = xasprintf("%d", pid);

    if (geteuid() != 0 || !path_exists(CGROUP1 "/cpu.cfs_quota_us"))
        return false;
    mkdir(GROUPS, 0755);
    mkdir(group, 0755);
    return put(group, "cpu.cfs_period_us", PERIOD_US) && put(group, "cpu.cfs_quota_us", SHARE_US) &&
           put(group, "cgroup.procs", number);
}

/* Version 2: the scope that systemd made for it alone; NULL where it has none. */
char *engine_conmon_scope(const char *cgroups)
{
    struct str rest = str_from(cgroups), line;

    while (str_split(&rest, '\n', &line)) {
        _cleanup_free_ char *text = xstrndup(line.p, line.n);
        const char *slash = strrchr(text, '/');
        if (starts_with(text, "0::/") && slash && starts_with(slash, "/libpod-conmon-") && ends_with(text, ".scope"))
            return xasprintf("/sys/fs/cgroup%s", text + strlen("0::"));
    }
    return NULL;
}

static char *scope_of(pid_t pid)
{
    _cleanup_free_ char *path = xasprintf("/proc/%d/cgroup", pid);
    _cleanup_free_ char *text = read_file(path, 65536, NULL, NULL);
    return text ? engine_conmon_scope(text) : NULL;
}

void engine_conmon_bound(const char *instance, pid_t pid)
{
    if (pid <= 1 || move_to_own_group(instance, pid))
        return;
    _cleanup_free_ char *scope = scope_of(pid);
    if (scope && put(scope, "cpu.max", SHARE_US " " PERIOD_US))
        return;
    /* What it starts when the container has ended is not to wait. */
    sched_setscheduler(pid, SCHED_IDLE | SCHED_RESET_ON_FORK, &(struct sched_param){0});
}

/* Before the end, at which it has something to do that others wait for; and its group is to be empty then. */
void engine_conmon_release(pid_t pid)
{
    _cleanup_free_ char *number = xasprintf("%d", pid), *scope = NULL;

    if (pid <= 1)
        return;
    put(GROUPS, "cgroup.procs", number);
    scope = scope_of(pid);
    if (scope)
        put(scope, "cpu.max", "max");
}

void engine_conmon_forget(const char *instance)
{
    _cleanup_free_ char *group = own_group(instance);
    rmdir(group);
}
