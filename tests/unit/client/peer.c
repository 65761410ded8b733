#include "unit/client/peer.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/io.h"
#include "base/thread.h"

/* Head and as much of a body as its Content-Length says. */
size_t peer_read_request(int fd, char *out, size_t max)
{
    size_t n = 0;

    while (n < max - 1) {
        ssize_t got = read(fd, out + n, max - 1 - n);
        if (got <= 0)
            break;
        n += (size_t)got;
        out[n] = '\0';
        const char *end = strstr(out, "\r\n\r\n"), *length = strcasestr(out, "content-length:");
        if (end && n >= (size_t)(end + 4 - out) + (length ? strtoul(length + 15, NULL, 10) : 0))
            break;
    }
    return n;
}

static void play(struct peer *p, int fd)
{
    char request[65536];
    size_t n = peer_read_request(fd, request, sizeof(request));

    if (n == 0) {
        close(fd);
        return;
    }
    pthread_mutex_lock(&p->lock);
    const struct line *l = p->at < p->script_len ? &p->script[p->at] : NULL;
    bool right = l && strncmp(request, l->expect, strlen(l->expect)) == 0 && (!l->body || strstr(request, l->body));
    if (!right && p->wrong == NULL)
        p->wrong = xasprintf("line %zu: %.300s", p->at, request);
    p->at++;
    pthread_mutex_unlock(&p->lock);
    if (right && l->answer) {
        if (write_all(fd, l->answer, strlen(l->answer), NULL) < 0)
            perror("peer");
    }
    if (right && (l->keep || l->answer == NULL) && p->held_len < 32)
        p->held[p->held_len++] = fd;
    else
        close(fd);
}

static void *run(void *arg)
{
    struct peer *p = arg;
    struct pollfd fds[] = {{p->listen_fd, POLLIN, 0}, {p->stop_fd, POLLIN, 0}};

    while (poll(fds, 2, -1) > 0 && !fds[1].revents) {
        int fd = accept4(p->listen_fd, NULL, NULL, SOCK_CLOEXEC);
        if (fd >= 0)
            play(p, fd);
    }
    return NULL;
}

void peer_start(struct peer *p, const struct line *script, size_t n)
{
    *p = (struct peer){.script = script, .script_len = n, .stop_fd = eventfd(0, EFD_CLOEXEC)};
    snprintf(p->directory, sizeof(p->directory), "/tmp/runner-test-XXXXXX");
    assert_non_null(mkdtemp(p->directory));
    snprintf(p->path, sizeof(p->path), "%s/s", p->directory);
    p->listen_fd = listen_unix(p->path, 0666, NULL);
    assert_true(p->listen_fd >= 0);
    pthread_mutex_init(&p->lock, NULL);
    p->thread = thread_start("peer", run, p);
}

void peer_wait(struct peer *p, size_t lines)
{
    for (;;) {
        {
            LOCK_SCOPE(&p->lock);
            if (p->at >= lines)
                return;
        }
        usleep(1000);
    }
}

void peer_end(struct peer *p)
{
    uint64_t one = 1;

    assert_int_equal(write(p->stop_fd, &one, sizeof(one)), sizeof(one));
    pthread_join(p->thread, NULL);
    for (size_t i = 0; i < p->held_len; i++)
        close(p->held[i]);
    close(p->stop_fd);
    close(p->listen_fd);
    unlink(p->path);
    rmdir(p->directory);
    if (p->wrong)
        fail_msg("%s", p->wrong);
    if (!p->partial)
        assert_int_equal(p->at, p->script_len);
    pthread_mutex_destroy(&p->lock);
}
