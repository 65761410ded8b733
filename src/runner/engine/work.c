#include "runner/engine/work.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/io.h"
#include "runner/gpu/use.h"

#define TEXT_MAX 65536

/* Where numbers are found, in version 2 of control groups and in version 1. */
enum total { CPU_US, CPU_NS, IO_BYTES, IO_WAIT_US, MEMORY, CACHE, TASKS, TOTALS };
struct counter {
    const char *controller; /* version 1; NULL: version 2 */
    const char *file;
    const char *key; /* before the number; NULL: the file is one number */
    bool once;       /* what follows the first of these keys; else the sum of all */
    enum total total;
};

static const struct counter counters[] = {
    {NULL, "cpu.stat", "usage_usec ", true, CPU_US},
    {NULL, "io.stat", "rbytes=", false, IO_BYTES},
    {NULL, "io.stat", "wbytes=", false, IO_BYTES},
    {NULL, "io.pressure", "total=", true, IO_WAIT_US}, /* «some» is the first line */
    {NULL, "memory.current", NULL, true, MEMORY},
    {NULL, "memory.stat", "\ninactive_file ", true, CACHE},
    {NULL, "pids.current", NULL, true, TASKS},
    {"cpuacct", "cpuacct.usage", NULL, true, CPU_NS},
    {"blkio", "blkio.throttle.io_service_bytes_recursive", " Read ", false, IO_BYTES},
    {"blkio", "blkio.throttle.io_service_bytes_recursive", " Write ", false, IO_BYTES},
    {"memory", "memory.usage_in_bytes", NULL, true, MEMORY},
    {"memory", "memory.stat", "\ntotal_inactive_file ", true, CACHE},
    {"pids", "pids.current", NULL, true, TASKS},
};

struct totals {
    uint64_t of[TOTALS];
    bool known[TOTALS];
};

static uint64_t number_at(const char *p)
{
    return strtoull(p, NULL, 10);
}

static void add_up(struct totals *t, const struct counter *c, const char *text)
{
    const char *at = c->key ? strstr(text, c->key) : text;

    t->known[c->total] = true;
    while (at) {
        at += c->key ? strlen(c->key) : 0;
        t->of[c->total] += number_at(at);
        at = c->once ? NULL : strstr(at, c->key);
    }
}

/* Of one group, whose controllers are «cpu,cpuacct», or none in version 2. */
static void read_group(struct totals *t, const char *groups, struct str controllers, const char *path)
{
    for (size_t i = 0; i < ARRAY_SIZE(counters); i++) {
        const struct counter *c = &counters[i];
        if (c->controller ? !str_list_has(controllers, ',', c->controller) : controllers.n > 0)
            continue;
        _cleanup_free_ char *file = xasprintf("%s/%.*s%s/%s", groups, (int)controllers.n, controllers.p, path, c->file);
        _cleanup_free_ char *text = read_file(file, TEXT_MAX, NULL, NULL);
        if (text)
            add_up(t, c, text);
    }
}

/* «0::/machine.slice/libpod-ID.scope», «2:cpuacct:/libpod_parent/libpod-ID»: only of a group that is a container's
 * own. */
static void read_line(struct totals *t, const char *groups, struct str line)
{
    _cleanup_free_ char *text = xstrndup(line.p, line.n);
    char *controllers = strchr(text, ':'), *path = controllers ? strchr(controllers + 1, ':') : NULL;
    char container[CONTAINER_ID + 1];

    if (path == NULL || strstr(path, "/..") || !container_of_cgroup(text, container))
        return;
    controllers++;
    read_group(t, groups, (struct str){controllers, (size_t)(path - controllers)}, path + 1);
}

int engine_work_of(const char *proc, const char *groups, pid_t pid, struct runtime_work *out, struct error **err)
{
    _cleanup_free_ char *file = xasprintf("%s/%d/cgroup", proc, (int)pid);
    _cleanup_free_ char *text = read_file(file, TEXT_MAX, NULL, err);
    struct str rest = str_from(text), line;
    struct totals t = {0};

    if (text == NULL)
        return -1;
    while (str_split(&rest, '\n', &line))
        read_line(&t, groups, line);
    if (!t.known[CPU_US] && !t.known[CPU_NS])
        return error_set(err, REASON_NOT_FOUND, "process %d is in no control group of its own", (int)pid);
    *out = (struct runtime_work){
        .cpu_us = t.known[CPU_US] ? t.of[CPU_US] : t.of[CPU_NS] / 1000,
        .io_bytes = t.of[IO_BYTES],
        .io_wait_us = t.of[IO_WAIT_US],
        .memory_bytes = t.of[MEMORY] > t.of[CACHE] ? t.of[MEMORY] - t.of[CACHE] : 0,
        .tasks = (unsigned)t.of[TASKS],
    };
    return 0;
}

int engine_work(struct runtime *r, const char *instance, pid_t pid, struct runtime_work *out, struct error **err)
{
    if (pid <= 1)
        return error_set(err, REASON_NOT_FOUND, "its first process is not seen here");
    return engine_work_of("/proc", "/sys/fs/cgroup", pid, out, err);
}
