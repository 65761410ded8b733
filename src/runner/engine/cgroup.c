#include "runner/engine/cgroup.h"

#include <string.h>

#include "base/alloc.h"
#include "base/io.h"

#define ROOT "/sys/fs/cgroup"
#define FILE_MAX 4096

/* What runs may lie in a group below («libpod-ID.scope/container»): the limits are those of the one that is named after
 * it. */
static size_t length_to_its_own(struct str path, const char *container_id)
{
    const char *id = memmem(path.p, path.n, container_id, strlen(container_id));
    const char *end = id ? memchr(id, '/', path.n - (size_t)(id - path.p)) : NULL;

    return id == NULL ? 0 : end ? (size_t)(end - path.p) : path.n;
}

/* «0::/a/b» of version 2, «4:cpu,cpuacct:/a/b» of version 1. */
char *cgroup_folder(const char *groups, const char *controller, const char *container_id)
{
    struct str rest = str_from(groups), line, number, controllers;

    while (str_split(&rest, '\n', &line)) {
        if (!str_split(&line, ':', &number) || !str_split(&line, ':', &controllers))
            continue;
        size_t n = length_to_its_own(line, container_id);
        if (n == 0 || memmem(line.p, n, "/../", 4))
            continue;
        if (controllers.n == 0)
            return xasprintf(ROOT "%.*s", (int)n, line.p);
        if (str_list_has(controllers, ',', controller))
            return xasprintf(ROOT "/%.*s%.*s", (int)controllers.n, controllers.p, (int)n, line.p);
    }
    return NULL;
}

static uint64_t number_of(struct str s)
{
    unsigned long long n;
    return str_to_u64(str_trim(s), UINT64_MAX, &n) == 0 ? n : 0;
}

uint64_t cgroup_number(const char *folder, const char *file, const char *word)
{
    _cleanup_free_ char *path = xasprintf("%s/%s", folder, file);
    _cleanup_free_ char *text = read_file(path, FILE_MAX, NULL, NULL);
    struct str rest = str_from(text), line, first;

    if (word == NULL)
        return number_of(rest);
    while (str_split(&rest, '\n', &line))
        if (str_split(&line, ' ', &first) && str_is(first, word))
            return number_of(line);
    return 0;
}
