#include <sys/stat.h>

#include "runner/environment/internal.h"

#define ENOUGH_BYTES 65536

static int enough(void *arg, struct str piece)
{
    return -1;
}

/* Any answer but a server's failure shows that it serves. */
bool probe_answers(const char *socket, const char *path, int stop_fd)
{
    struct stat st;

    if (lstat(socket, &st) < 0 || !S_ISSOCK(st.st_mode))
        return false;
    struct transport *t = transport_new(&(struct transport_options){.socket = socket, .url = "http://localhost"});
    struct call c = {.method = "GET",
                     .path = path,
                     .timeout_ms = limits.ready_answer_ms,
                     .stop_fd = stop_fd,
                     .max_body = ENOUGH_BYTES,
                     .receive = enough};
    _cleanup_answer_ struct answer a = {0};
    bool answers = transport_call(t, &c, &a, NULL) == 0 && a.status >= 200 && a.status < 500;
    transport_free(t);
    return answers;
}
