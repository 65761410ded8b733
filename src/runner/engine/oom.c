#include "runner/engine/oom.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"

#define MAX_RECORD 8192 /* the kernel's own limit of one read */
#define MAX_RECORDS 200000

/*
 * Engines miss it now and then that the kernel ended a container for its memory: the control group is gone before they
 * look. The kernel's log says it for certain: «oom-kill:…,oom_memcg=…/libpod-ID,…». Only root may read it; others go by
 * what the engine says.
 */
bool engine_killed_for_memory(const char *container_id)
{
    _cleanup_close_ int fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    char record[MAX_RECORD + 1];

    for (unsigned i = 0; fd >= 0 && i < MAX_RECORDS; i++) {
        ssize_t n = read(fd, record, MAX_RECORD);
        if (n < 0 && (errno == EPIPE || errno == EINTR)) /* overwritten before it was read */
            continue;
        if (n <= 0)
            return false;
        record[n] = '\0';
        if (strstr(record, "oom-kill:") && strstr(record, container_id))
            return true;
    }
    return false;
}
