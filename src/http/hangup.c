#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/log.h"
#include "base/thread.h"
#include "http/body.h"
#include "http/exchange.h"
#include "http/server.h"

/*
 * libmicrohttpd takes a suspended connection out of its own epoll set, so that nobody would notice that the peer of a
 * long-deferred exchange has gone. One thread looks for that, in a set of its own. (Streams: http/stream.c.)
 *
 * Only EPOLLHUP and EPOLLERR are asked for (they always are): a unix socket reports HUP when the peer has closed. A
 * peer that merely shut down its sending half (EPOLLRDHUP) may still wait for its answer.
 */

/* Most deferred exchanges are answered sooner, and then cost nothing here. */
#define LONG_DEFERRED_US 1000000
#define WAKE_TAG UINT64_MAX

static struct polled *slot_of(struct http_server *s, int fd)
{
    if ((size_t)fd >= s->polled_len) {
        size_t n = s->polled_len ? s->polled_len : 64;
        while (n <= (size_t)fd)
            n *= 2;
        s->polled = xreallocarray(s->polled, n, sizeof(*s->polled));
        memset(s->polled + s->polled_len, 0, (n - s->polled_len) * sizeof(*s->polled));
        s->polled_len = n;
    }
    return &s->polled[fd];
}

/* With the server lock held. */
static void look_at(struct http_exchange *x)
{
    struct http_server *s = x->server;
    int fd = MHD_get_connection_info(x->connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;

    struct polled *slot = slot_of(s, fd);
    *slot = (struct polled){x, ++s->generation};
    x->polled_fd = fd;
    struct epoll_event event = {.events = EPOLLET, .data.u64 = (uint64_t)slot->generation << 32 | (uint32_t)fd};
    if (epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
        log_warning("cannot watch a connection for its end: %m");
}

void hangup_look_at(struct http_exchange *x)
{
    LOCK_SCOPE(&x->server->lock);
    if (x->live && x->polled_fd < 0)
        look_at(x);
}

void hangup_forget(struct http_exchange *x)
{
    if (x->polled_fd < 0)
        return;
    epoll_ctl(x->server->epoll_fd, EPOLL_CTL_DEL, x->polled_fd, NULL);
    x->server->polled[x->polled_fd].x = NULL;
    x->polled_fd = -1;
}

static void cut(struct http_exchange *x)
{
    LOCK_SCOPE(exchange_lock(x));
    if (x->state == WAITING)
        exchange_abandon(x, 0, NULL);
}

static void handle(struct http_server *s, uint64_t tag)
{
    size_t fd = (uint32_t)tag;

    LOCK_SCOPE(&s->lock);
    /* The descriptor may have been closed, and its number given to another connection, since epoll_wait returned. */
    if (fd < s->polled_len && s->polled[fd].x && s->polled[fd].generation == tag >> 32)
        cut(s->polled[fd].x);
}

static void look_at_long_deferred(struct http_server *s)
{
    int64_t before = clock_monotonic_us() - LONG_DEFERRED_US;

    LOCK_SCOPE(&s->lock);
    for (struct http_exchange *x = s->live; x; x = x->next)
        if (x->polled_fd < 0 && x->waiting_since_us < before)
            look_at(x);
}

static void *run(void *arg)
{
    struct http_server *s = arg;
    struct epoll_event events[64];

    for (;;) {
        int n = epoll_wait(s->epoll_fd, events, ARRAY_SIZE(events), LONG_DEFERRED_US / 1000);
        for (int i = 0; i < n; i++) {
            if (events[i].data.u64 == WAKE_TAG)
                return NULL;
            handle(s, events[i].data.u64);
        }
        look_at_long_deferred(s);
        bodies_check(s, clock_monotonic_us());
    }
}

int hangup_start(struct http_server *s, struct error **err)
{
    s->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    s->wake_fd = eventfd(0, EFD_CLOEXEC);
    if (s->epoll_fd < 0 || s->wake_fd < 0)
        return error_errno(err, errno, "cannot watch connections");
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = WAKE_TAG};
    if (epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, s->wake_fd, &event) < 0)
        return error_errno(err, errno, "cannot watch connections");
    s->hangup_thread = thread_start("http-hangup", run, s);
    return 0;
}

void hangup_stop(struct http_server *s)
{
    uint64_t one = 1;

    if (write(s->wake_fd, &one, sizeof(one)) != (ssize_t)sizeof(one))
        abort();
    pthread_join(s->hangup_thread, NULL);
}
