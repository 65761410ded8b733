#include "runner/relay/groups.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/io.h"

#define TEXT_MAX 65536

static bool bounds(const char *controllers, size_t n)
{
    static const char *const wanted[] = {"cpu", "memory", "pids"};

    for (size_t i = 0; i < ARRAY_SIZE(wanted); i++)
        if (str_list_has((struct str){controllers, n}, ',', wanted[i]))
            return true;
    return false;
}

/* «0::/a/b» of version 2, «4:cpu,cpuacct:/a/b» of version 1. */
char *relay_group_path(const char *line)
{
    const char *controllers = strchr(line, ':'), *path = controllers ? strchr(++controllers, ':') : NULL;
    size_t n = path ? (size_t)(path - controllers) : 0;

    if (path == NULL || path[1] != '/' || path[2] == '\0' || strstr(path, "/../"))
        return NULL;
    if (n == 0)
        return xasprintf("/sys/fs/cgroup%s/cgroup.procs", path + 1);
    return bounds(controllers, n) ? xasprintf("/sys/fs/cgroup/%.*s%s/cgroup.procs", (int)n, controllers, path + 1)
                                  : NULL;
}

static void join(const char *file, const char *number)
{
    _cleanup_close_ int fd = open(file, O_WRONLY | O_CLOEXEC);
    ssize_t ignored _unused_ = fd < 0 ? 0 : write(fd, number, strlen(number));
}

void relay_groups_join(pid_t pid, pid_t other)
{
    _cleanup_free_ char *path = xasprintf("/proc/%d/cgroup", (int)other), *number = xasprintf("%d", (int)pid);
    _cleanup_free_ char *text = read_file(path, TEXT_MAX, NULL, NULL);
    struct str rest = str_from(text), line;

    while (str_split(&rest, '\n', &line)) {
        _cleanup_free_ char *one = xstrndup(line.p, line.n);
        _cleanup_free_ char *file = relay_group_path(one);
        if (file)
            join(file, number);
    }
}
