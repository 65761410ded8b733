#include "runner/engine/hostid.h"

#include "base/alloc.h"
#include "base/io.h"
#include "base/str.h"

#define MAX_SUBORDINATE_FILE (1u << 20)

const char *const system_subordinate_files[] = {"/etc/subuid", "/etc/subgid", NULL};

/* subuid(5): «name:first:count» a line. One that can't be read gives nothing to anybody. */
static bool line_overlaps(struct str line, uint64_t first, uint64_t count)
{
    struct str name, from, size = {0};
    unsigned long long begin, n;

    if (!str_split(&line, ':', &name) || !str_split(&line, ':', &from) || !str_split(&line, ':', &size))
        return false;
    if (str_to_u64(str_trim(from), UINT32_MAX, &begin) < 0 || str_to_u64(str_trim(size), UINT32_MAX, &n) < 0)
        return false;
    return first < begin + n && begin < first + count;
}

static bool file_overlaps(const char *path, uint64_t first, uint64_t count)
{
    size_t n;
    _cleanup_free_ char *text = read_file(path, MAX_SUBORDINATE_FILE, &n, NULL);
    struct str rest = {text, text ? n : 0}, line;

    while (text && str_split(&rest, '\n', &line))
        if (line_overlaps(line, first, count))
            return true;
    return false;
}

int host_id_check(const struct config *c, uint32_t host_id, const char *const *subordinate, struct error **err)
{
    uint64_t span = (uint64_t)c->host_id_count * c->host_id_size;

    if (host_id < c->host_id_base || host_id - c->host_id_base >= span ||
        (host_id - c->host_id_base) % c->host_id_size != 0)
        return error_set(err, REASON_INVALID,
                         "host id %u does not begin a range of the configured span (%u ranges of %u from %u)", host_id,
                         c->host_id_count, c->host_id_size, c->host_id_base);
    if (host_id == c->host_id_base)
        return error_set(err, REASON_INVALID, "host id %u begins the range of the service users", host_id);
    for (; *subordinate; subordinate++)
        if (file_overlaps(*subordinate, host_id, c->host_id_size))
            return error_set(err, REASON_INVALID, "the range of host ids from %u is given to somebody in %s", host_id,
                             *subordinate);
    return 0;
}
