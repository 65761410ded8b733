#include "unit/client/answerer.h"

#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/io.h"
#include "base/thread.h"

static void serve(struct answerer *a, int fd)
{
    char text[4096];
    unsigned status = atomic_load(&a->status);

    atomic_fetch_add(&a->asked, 1);
    if (status == 0 && a->held_len < 64) {
        a->held[a->held_len++] = fd;
        return;
    }
    if (read(fd, text, sizeof(text)) > 0) {
        int n =
            snprintf(text, sizeof(text), "HTTP/1.1 %u X\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi", status);
        int ignored _unused_ = write_all(fd, text, (size_t)n, NULL); /* it may have seen enough */
    }
    close(fd);
}

static void *run(void *arg)
{
    struct answerer *a = arg;
    struct pollfd fds[] = {{a->listen_fd, POLLIN, 0}, {a->stop_fd, POLLIN, 0}};

    while (poll(fds, 2, -1) > 0 && !fds[1].revents) {
        int fd = accept4(a->listen_fd, NULL, NULL, SOCK_CLOEXEC);
        if (fd >= 0)
            serve(a, fd);
    }
    return NULL;
}

void answerer_start_on(struct answerer *a, int listen_fd, unsigned status)
{
    *a = (struct answerer){.listen_fd = listen_fd, .stop_fd = eventfd(0, EFD_CLOEXEC)};
    atomic_init(&a->status, status);
    a->thread = thread_start("answerer", run, a);
}

void answerer_start(struct answerer *a, const char *path, unsigned status)
{
    answerer_start_on(a, listen_unix(path, 0666, NULL), status);
    snprintf(a->path, sizeof(a->path), "%s", path);
}

void answerer_end(struct answerer *a)
{
    uint64_t one = 1;

    if (write(a->stop_fd, &one, sizeof(one)) < 0)
        perror("answerer");
    pthread_join(a->thread, NULL);
    while (a->held_len)
        close(a->held[--a->held_len]);
    close(a->stop_fd);
    close(a->listen_fd);
}
