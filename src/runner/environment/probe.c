#include "runner/environment/probe.h"

#include <sys/stat.h>

#include "client/ask.h"
#include "runner/environment/limits.h"

/* Any answer but a server's failure shows that it serves. */
bool probe_answers(const char *address, const char *path, int stop_fd)
{
    struct question q = {.address = address, .path = path};
    const char *socket = address_socket(address);
    struct stat st;

    if (socket && (lstat(socket, &st) < 0 || !S_ISSOCK(st.st_mode)))
        return false;
    transport_ask(&q, 1, limits.ready_answer_ms, stop_fd);
    return q.outcome == ASK_ANSWERED && q.status >= 200 && q.status < 500;
}

/* What takes long is asked less often: later by a fiftieth of its time at most. */
unsigned probe_pause_ms(int64_t waited_us)
{
    int64_t ms = waited_us / 1000 / 50;

    if (ms < limits.ready_poll_ms)
        return limits.ready_poll_ms;
    return ms < limits.ready_poll_longest_ms ? (unsigned)ms : limits.ready_poll_longest_ms;
}
