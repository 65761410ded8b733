#include "base/notify.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/io.h"
#include "base/log.h"

static struct sockaddr_un manager = {.sun_family = AF_UNIX};
static socklen_t manager_len;

void notify_take(void)
{
    const char *path = getenv("NOTIFY_SOCKET");
    size_t n = path ? strlen(path) : 0;

    /* A path, or a name in the abstract name space, written with an @. */
    if (n > 1 && n < sizeof(manager.sun_path) && (path[0] == '/' || path[0] == '@')) {
        memcpy(manager.sun_path, path, n + 1);
        if (path[0] == '@')
            manager.sun_path[0] = '\0';
        manager_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n);
    }
    unsetenv("NOTIFY_SOCKET");
}

void notify_ready(void)
{
    static const char text[] = "READY=1";

    if (manager_len == 0)
        return;
    _cleanup_close_ int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || sendto(fd, text, sizeof(text) - 1, MSG_NOSIGNAL, (const struct sockaddr *)&manager, manager_len) < 0)
        log_warning("the service manager cannot be told that this part is ready: %s", strerror(errno));
}
