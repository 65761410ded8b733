#include "runner/engine/process.h"

#include <poll.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/io.h"

/* All four user ids of a process lie in the range. */
static bool has_ids(pid_t pid, struct id_range ids)
{
    _cleanup_free_ char *path = xasprintf("/proc/%d/status", (int)pid);
    _cleanup_free_ char *text = read_file(path, 65536, NULL, NULL);
    const char *line = text ? strstr(text, "\nUid:\t") : NULL;
    struct str rest, word;
    unsigned long long id;

    if (line == NULL)
        return false;
    line += strlen("\nUid:\t");
    rest = (struct str){line, strcspn(line, "\n")};
    while (str_split(&rest, '\t', &word))
        if (str_to_u64(word, UINT32_MAX, &id) < 0 || id < ids.first || id - ids.first >= ids.size)
            return false;
    return true;
}

struct runtime_process process_open(pid_t pid, struct id_range ids)
{
    if (pid <= 1)
        return (struct runtime_process){.fd = -1};
    /* The ids are read after the descriptor was taken, and it is not over: they are of the same process. */
    _cleanup_close_ int fd = (int)syscall(SYS_pidfd_open, pid, 0);
    bool own = fd >= 0 && ids.size && has_ids(pid, ids);
    struct pollfd ended = {.fd = fd, .events = POLLIN};

    if (fd < 0 || (ids.size && !own) || poll(&ended, 1, 0) != 0)
        return (struct runtime_process){.pid = pid, .fd = -1};
    return (struct runtime_process){pid, steal_fd(fd), own};
}

static bool take_number(struct str *rest, uint32_t *out)
{
    unsigned long long n;
    struct str word;

    if (!str_split(rest, ':', &word) || str_to_u64(word, UINT32_MAX, &n) < 0)
        return false;
    *out = (uint32_t)n;
    return true;
}

/* «0:1879113728:65536» of Podman's mapping; where nothing is mapped, the user is the same outside: «1000:1000». */
static struct id_range ids_of_container(yyjson_val *container)
{
    struct str map = str_from(yyjson_get_str(yyjson_arr_get_first(json_at(container, "HostConfig.IDMappings.UidMap"))));
    struct str user = str_from(json_str_at(container, "Config.User"));
    struct id_range ids = {0};
    uint32_t inside;

    if (map.n)
        return take_number(&map, &inside) && take_number(&map, &ids.first) && take_number(&map, &ids.size)
                   ? ids
                   : (struct id_range){0};
    ids.size = take_number(&user, &ids.first);
    return ids;
}

struct runtime_process process_of_container(yyjson_val *container)
{
    return process_open((pid_t)json_int_at(container, "State.Pid", 0), ids_of_container(container));
}
