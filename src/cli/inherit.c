#include "cli/inherit.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/str.h"

#define FIRST_INHERITED 3

static unsigned long long number_of(const char *variable)
{
    const char *text = getenv(variable);
    unsigned long long value;

    return text && str_to_u64(str_from(text), INT32_MAX, &value) == 0 ? value : 0;
}

static int place_of(struct str name)
{
    static const char *const names[SOCKETS] = {
        [SOCKET_GATEWAY] = "gateway", [SOCKET_AUTH] = "auth", [SOCKET_RUNNER] = "runner", [SOCKET_LOGS] = "logs"};

    for (int i = 0; i < SOCKETS; i++)
        if (str_is(name, names[i]))
            return i;
    return -1;
}

static int take_inherited(int fd)
{
    fcntl(fd, F_SETFD, FD_CLOEXEC);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    return fd;
}

/* Nobody that we start may take our sockets for its own: Podman's service looks at no more than that LISTEN_PID is set.
 */
static void forget_sockets(void)
{
    unsetenv("LISTEN_PID");
    unsetenv("LISTEN_FDS");
    unsetenv("LISTEN_FDNAMES");
}

static int take_sockets(int fds[static SOCKETS], int *peers)
{
    unsigned long long count = number_of("LISTEN_FDS");
    struct str rest = str_from(getenv("LISTEN_FDNAMES")), name;
    int taken = 0;

    for (int i = 0; i < SOCKETS; i++)
        fds[i] = -1;
    *peers = -1;
    if (number_of("LISTEN_PID") != (unsigned long long)getpid())
        return 0;
    for (int fd = FIRST_INHERITED; fd < FIRST_INHERITED + (int)count && str_split(&rest, ':', &name); fd++) {
        int place = place_of(name);
        if (str_is(name, "peers"))
            *peers = take_inherited(fd);
        if (place < 0)
            continue;
        fds[place] = take_inherited(fd);
        taken++;
    }
    return taken;
}

int inherit_sockets(int fds[static SOCKETS], int *peers)
{
    int taken = take_sockets(fds, peers);

    forget_sockets();
    return taken;
}
