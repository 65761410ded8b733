#include "http/connection.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/alloc.h"

bool connection_is_stopping(const struct connection *c)
{
    return atomic_load_explicit(&c->lane->service->stopping, memory_order_relaxed);
}

/* --- Lists --- */

void connection_unlist(struct connection *c)
{
    struct connection_list *l = &c->lane->lists[c->wait];

    *(c->previous ? &c->previous->next : &l->first) = c->next;
    *(c->next ? &c->next->previous : &l->last) = c->previous;
    c->next = c->previous = NULL;
}

void connection_list(struct connection *c, enum connection_wait wait, int64_t since_us)
{
    struct connection_list *l = &c->lane->lists[wait];

    c->wait = wait;
    c->since_us = since_us;
    c->previous = l->last;
    *(l->last ? &l->last->next : &l->first) = c;
    l->last = c;
    if (wait != WAIT_OTHERS)
        loop_need_seconds(&c->lane->loop);
}

void connection_wait_for(struct connection *c, enum connection_wait wait)
{
    connection_unlist(c);
    connection_list(c, wait, c->lane->loop.now_us);
}

/* --- The socket --- */

enum progress connection_go_on_later(struct connection *c)
{
    if (!c->is_posted) {
        c->is_posted = true;
        loop_post(&c->lane->loop, &c->posted);
    }
    return BLOCKED;
}

enum progress connection_fill(struct connection *c, struct str *input)
{
    if (!c->readable)
        return BLOCKED;
    if (c->lane->budget == 0)
        return connection_go_on_later(c);
    c->lane->budget--;
    ssize_t n = recv(c->fd, c->lane->buffer, BUFFER_SIZE, MSG_DONTWAIT);
    if (n < 0 && errno == EAGAIN) {
        c->readable = false;
        return BLOCKED;
    }
    if (n <= 0)
        return OVER;
    /* Less than there was room for is all there was, but for the end. */
    c->readable = (size_t)n == BUFFER_SIZE || c->ended;
    *input = (struct str){c->lane->buffer, (size_t)n};
    return GO_ON;
}

static void watch_output(struct connection *c, bool on)
{
    if (c->watches_output == on)
        return;
    c->watches_output = on;
    loop_watch_again(&c->lane->loop, c->fd, EPOLLIN | EPOLLRDHUP | EPOLLET | (on ? EPOLLOUT : 0), &c->watched);
}

void connection_forget_output(struct connection *c)
{
    watch_output(c, false);
}

ssize_t connection_send(struct connection *c, const struct iovec *parts, size_t n)
{
    struct msghdr m = {.msg_iov = (struct iovec *)(uintptr_t)parts, .msg_iovlen = n};

    if (!c->writable)
        return 0;
    ssize_t sent = sendmsg(c->fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent > 0)
        return sent;
    if (errno != EAGAIN)
        return -1;
    c->writable = false;
    watch_output(c, true);
    connection_wait_for(c, WAIT_PEER);
    return 0;
}

/* --- Answers --- */

enum progress connection_answer(struct connection *c)
{
    c->state = SEND_ANSWER;
    c->sent = 0;
    return GO_ON;
}

enum progress connection_refuse_with(struct connection *c, struct error *err)
{
    answer_error(&c->answer, err);
    error_free(err);
    c->closing = c->drains = true;
    return connection_answer(c);
}

enum progress connection_refuse_as(struct connection *c, unsigned code, const char *reason, const char *message)
{
    answer_status(&c->answer, code, reason, message);
    c->closing = c->drains = true;
    return connection_answer(c);
}

enum progress connection_refuse(struct connection *c, enum reason reason, const char *message)
{
    struct error *err = NULL;

    error_set(&err, reason, "%s", message);
    return connection_refuse_with(c, err);
}

void connection_leave_exchange(struct connection *c, const char *why)
{
    struct http_exchange *x = steal_ptr(c->x);

    if (x == NULL)
        return;
    x->connection = NULL;
    if (!exchange_abandon(x, why))
        exchange_close_stream(x);
    exchange_unref(x);
}
