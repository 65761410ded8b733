#include "http/steps.h"

#include <assert.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/alloc.h"
#include "http/body.h"
#include "http/stream.h"

/* Of a head. What nginx lets through fits: an address of 8 KiB, 16 KiB of headers, its own; more is 431. Runner and
 * server ask each other for little. */
#define HEAD_MAX ((size_t)32 * 1024)
#define SMALL_HEAD_MAX ((size_t)8 * 1024)
/* Reads, pieces of a stream or requests of one connection before another has its turn. */
#define TURN 16
/* How long answers in progress have to get out when the server stops. */
#define STOP_US 2000000
#define STOPPING "the server is stopping"

static void run_connection(struct connection *c);

/* --- Steps --- */

static void on_exchange_turn(struct loop_posted *p, struct loop *l)
{
    struct http_exchange *x = (struct http_exchange *)p;
    struct loop *at = atomic_load(&x->loop);

    /* It has moved since. */
    if (at != l)
        return loop_post(at, p);
    /* What comes after this look is a reason to look again. */
    atomic_store(&x->is_posted, false);
    struct connection *c = x->connection;
    if (c) {
        c->sink_is_full = false;
        if (!c->is_posted)
            run_connection(c);
    }
    exchange_unref(x);
}

static enum progress begin_exchange(struct connection *c)
{
    const struct http_options *o = &c->lane->service->options;

    c->x = exchange_new(&c->reader.request, o->role, o->max_body, &c->lane->loop, on_exchange_turn);
    c->x->connection = c;
    c->lane->budget -= c->lane->budget > 0;
    c->closing = !c->x->request.keep_alive;
    c->receives = false;
    if (connection_is_stopping(c))
        return connection_refuse(c, REASON_SERVICE_UNAVAILABLE, STOPPING);
    if (exchange_has_too_many_parameters(c->x))
        return connection_refuse(c, REASON_BAD_REQUEST, "the address has too many query parameters");
    c->state = CALL_HANDLER;
    return c->x->request.has_body ? body_begin(c) : GO_ON;
}

/* An idle connection ends when the server does. */
static enum progress read_more_of_head(struct connection *c, struct str *input)
{
    enum progress p = connection_fill(c, input);
    return p == BLOCKED && !c->is_posted && connection_is_stopping(c) ? OVER : p;
}

static enum progress read_head(struct connection *c, struct str *input)
{
    bool was_idle = reader_is_idle(&c->reader);

    if (input->n && c->lane->budget == 0)
        return connection_go_on_later(c);
    switch (reader_next(&c->reader, input)) {
    case READING_MORE:
        /* Its time begins with its first byte. */
        if (was_idle && !reader_is_idle(&c->reader))
            connection_wait_for(c, WAIT_PEER);
        return read_more_of_head(c, input);
    case READING_HEAD:
        return begin_exchange(c);
    case READING_TOO_LARGE:
        return connection_refuse_as(c, 431, "RequestHeaderFieldsTooLarge",
                                    "the request's address and headers are too large");
    case READING_NO_METHOD:
        return connection_refuse(c, REASON_METHOD_NOT_ALLOWED, "the server does not know this method");
    case READING_PIECE:
    case READING_END:
    case READING_BAD:
        break;
    }
    return connection_refuse(c, REASON_BAD_REQUEST, "not a valid HTTP request");
}

static enum progress call_handler(struct connection *c, struct str *input)
{
    struct service *s = c->lane->service;

    assert(c->lane == &s->requests);
    c->state = c->receives ? RECEIVE_BODY : WAIT_ANSWER;
    c->x->state = HANDLING;
    s->handler(exchange_ref(c->x), s->arg);
    exchange_wait(c->x);
    return GO_ON;
}

static enum progress take_answer(struct connection *c)
{
    c->answer = c->x->answer;
    c->x->answer = (struct answer){0};
    /* Of the body, not all was wanted. */
    if (c->state == RECEIVE_BODY)
        c->closing = c->drains = true;
    return connection_answer(c);
}

static enum progress refuse_waiting(struct connection *c)
{
    connection_leave_exchange(c, STOPPING);
    return connection_refuse(c, REASON_SERVICE_UNAVAILABLE, STOPPING);
}

/* WAIT_ANSWER and RECEIVE_BODY. */
static enum progress wait_for_answer(struct connection *c, struct str *input)
{
    if (exchange_state(c->x) == ANSWERED)
        return take_answer(c);
    if (c->gone)
        return OVER;
    if (connection_is_stopping(c))
        return refuse_waiting(c);
    if (c->state == RECEIVE_BODY)
        return body_receive(c, input);
    if (c->wait != WAIT_OTHERS)
        connection_wait_for(c, WAIT_OTHERS);
    return BLOCKED;
}

/* --- Sending --- */

static struct str end_of_head(const struct connection *c)
{
    if (c->closing)
        return STR("Connection: close\r\n\r\n");
    return c->x && c->x->request.is_old ? STR("Connection: keep-alive\r\n\r\n") : STR("\r\n");
}

/* What is left of the parts, behind the first `skip` bytes. */
static size_t skip_parts(struct iovec *parts, size_t n, size_t skip)
{
    size_t kept = 0;

    for (size_t i = 0; i < n; i++) {
        size_t gone = skip < parts[i].iov_len ? skip : parts[i].iov_len;
        skip -= gone;
        if (parts[i].iov_len > gone)
            parts[kept++] = (struct iovec){(char *)parts[i].iov_base + gone, parts[i].iov_len - gone};
    }
    return kept;
}

static enum progress begin_stream(struct connection *c, struct str *input)
{
    if (c->x->method == HTTP_HEAD)
        return OVER;
    /* Nothing more is read: the connection ends with the stream. */
    *input = STR("");
    buffer_free(&c->x->body);
    c->stream_over = false;
    c->state = SEND_STREAM;
    return c->lane == &c->lane->service->requests && !connection_is_stopping(c) ? MOVE : GO_ON;
}

static enum progress answer_is_out(struct connection *c, struct str *input)
{
    answer_free(&c->answer);
    connection_forget_output(c);
    if (c->x && c->x->stream)
        return begin_stream(c, input);
    connection_leave_exchange(c, NULL);
    if (c->drains && !connection_is_stopping(c)) {
        shutdown(c->fd, SHUT_WR);
        c->received = 0;
        c->state = DRAIN;
        connection_wait_for(c, WAIT_BODY);
        return GO_ON;
    }
    if (c->closing || connection_is_stopping(c))
        return OVER;
    c->state = READ_HEAD;
    connection_wait_for(c, WAIT_PEER);
    return c->lane == &c->lane->service->bodies ? MOVE : GO_ON;
}

static enum progress send_answer(struct connection *c, struct str *input)
{
    bool bodiless = (c->x && c->x->method == HTTP_HEAD) || !answer_may_have_body(&c->answer);

    if (c->sent == 0 && ((c->x && c->x->stream) || connection_is_stopping(c)))
        c->closing = true;
    struct str end = end_of_head(c);
    struct iovec parts[] = {
        {c->answer.head.p, c->answer.head.n},
        {(void *)(uintptr_t)end.p, end.n},
        {(void *)(uintptr_t)c->answer.body.p, bodiless ? 0 : c->answer.body.n},
    };
    size_t n = skip_parts(parts, ARRAY_SIZE(parts), c->sent);
    if (n == 0)
        return answer_is_out(c, input);
    ssize_t sent = connection_send(c, parts, n);
    if (sent <= 0)
        return sent < 0 || c->gone ? OVER : BLOCKED;
    c->sent += (size_t)sent;
    /* Who takes some of it is not idle. */
    if (c->watches_output)
        connection_wait_for(c, WAIT_PEER);
    return GO_ON;
}

static enum progress send_stream(struct connection *c, struct str *input)
{
    return stream_send(c);
}

static enum progress (*const steps[])(struct connection *c, struct str *input) = {
    [READ_HEAD] = read_head,         [READ_BODY] = body_collect,
    [CALL_HANDLER] = call_handler,   [RECEIVE_BODY] = wait_for_answer,
    [WAIT_ANSWER] = wait_for_answer, [SEND_ANSWER] = send_answer,
    [SEND_STREAM] = send_stream,     [DRAIN] = body_drain,
};

/* --- Running --- */

static void close_connection(struct connection *c)
{
    struct service *s = c->lane->service;

    connection_leave_exchange(c, "the peer has gone");
    connection_unlist(c);
    answer_free(&c->answer);
    reader_free(&c->reader);
    free(c->rest);
    free(c->kept);
    /* A program that is just being started (content/unpack.c) has it too, for a moment: then its end alone is none. */
    if (c->is_watched)
        loop_forget(&c->lane->loop, c->fd);
    close(steal_fd(c->fd));
    if (!c->is_posted)
        free(c);
    atomic_fetch_sub(&s->connections, 1);
}

static struct str kept_input(const struct connection *c)
{
    return c->kept ? (struct str){c->kept + c->kept_at, c->kept_n} : STR("");
}

/* `input` is the rest of what was kept, or lies in the lane's buffer. */
static void keep_input(struct connection *c, struct str input)
{
    char *old = steal_ptr(c->kept);

    if (input.n == 0) {
        free(old);
    } else if (old && input.p >= old && input.p <= old + c->kept_at + c->kept_n) {
        c->kept = old;
        c->kept_at = (size_t)(input.p - old);
    } else {
        free(old);
        c->kept = xmalloc(input.n);
        c->kept_at = 0;
        memcpy(c->kept, input.p, input.n);
    }
    c->kept_n = input.n;
}

/* From here on it is the other thread's. */
static void move_connection(struct connection *c)
{
    struct service *s = c->lane->service;
    struct lane *to = c->lane == &s->requests ? &s->bodies : &s->requests;
    struct http_exchange *x = c->x ? exchange_ref(c->x) : NULL;

    loop_forget(&c->lane->loop, c->fd);
    connection_unlist(c);
    c->lane = to;
    c->watches_output = c->is_watched = false;
    c->is_posted = true;
    loop_post(&to->loop, &c->posted);
    /* After it, so that what is posted for the exchange from now on has its turn behind the connection. */
    if (x) {
        atomic_store(&x->loop, &to->loop);
        exchange_unref(x);
    }
}

static void run_connection(struct connection *c)
{
    struct str input = kept_input(c);
    enum progress p;

    assert(loop_is_mine(&c->lane->loop) && c->fd >= 0 && !c->is_posted);
    c->lane->budget = TURN;
    do
        p = steps[c->state](c, &input);
    while (p == GO_ON);
    if (p == OVER)
        return close_connection(c);
    keep_input(c, input);
    if (p == MOVE)
        move_connection(c);
}

static void on_connection_events(struct loop_watched *w, uint32_t events)
{
    struct connection *c = (struct connection *)w;

    if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR))
        c->readable = true;
    if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
        c->ended = true;
    if (events & (EPOLLHUP | EPOLLERR))
        c->gone = true;
    if (events & (EPOLLOUT | EPOLLHUP | EPOLLERR))
        c->writable = true;
    if (!c->is_posted)
        run_connection(c);
}

/* Joins the lane, which it may have been in before. */
static bool watch_connection(struct connection *c)
{
    connection_list(c, c->wait, c->lane->loop.now_us);
    c->readable = c->writable = c->is_watched = true;
    return loop_watch(&c->lane->loop, c->fd, EPOLLIN | EPOLLRDHUP | EPOLLET, &c->watched) == 0;
}

static void on_connection_turn(struct loop_posted *p, struct loop *l)
{
    struct connection *c = (struct connection *)(void *)((char *)p - offsetof(struct connection, posted));

    c->is_posted = false;
    if (c->fd < 0)
        return free(c);
    if (!c->is_watched && !watch_connection(c))
        return close_connection(c);
    run_connection(c);
}

void connection_open(struct lane *l, int fd)
{
    struct connection *c = xcalloc(1, sizeof(*c));

    c->watched.on_events = on_connection_events;
    c->posted.on_turn = on_connection_turn;
    c->lane = l;
    c->fd = fd;
    bool small = l->service->options.role == HTTP_RUNNER || l->service->options.role == HTTP_LOGS;
    reader_init(&c->reader, small ? SMALL_HEAD_MAX : HEAD_MAX);
    if (!watch_connection(c))
        close_connection(c);
}

/* --- Lanes --- */

static void check_idle(struct lane *l)
{
    int64_t before = l->loop.now_us - (int64_t)l->service->options.idle_seconds * 1000000;

    if (l->service->options.idle_seconds == 0)
        return;
    /* What was closed is in no list any more. NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
    for (struct connection *c; (c = l->lists[WAIT_PEER].first) && c->since_us < before;)
        close_connection(c);
}

static void check_bodies(struct lane *l)
{
    for (struct connection *c = l->lists[WAIT_BODY].first, *next; c; c = next) {
        next = c->next;
        if (c->is_posted)
            continue;
        enum progress p = body_check_time(c);
        if (p == OVER)
            close_connection(c);
        else if (p == GO_ON)
            run_connection(c);
    }
}

static bool on_second(struct loop *loop)
{
    struct lane *l = (struct lane *)loop;

    check_idle(l);
    check_bodies(l);
    return l->lists[WAIT_PEER].first || l->lists[WAIT_BODY].first;
}

/* Each step knows what to do when the server stops. */
static void on_stop(struct loop *loop)
{
    struct lane *l = (struct lane *)loop;

    l->stop_us = loop->now_us + STOP_US;
    for (size_t i = 0; i < WAITS; i++)
        for (struct connection *c = l->lists[i].first, *next; c; c = next) {
            next = c->next;
            c->readable = true;
            if (!c->is_posted)
                run_connection(c);
        }
}

static bool is_over(struct loop *loop)
{
    struct lane *l = (struct lane *)loop;

    if (loop->now_us > l->stop_us)
        for (size_t i = 0; i < WAITS; i++)
            while (l->lists[i].first)
                close_connection(l->lists[i].first); /* as above. NOLINT(clang-analyzer-unix.Malloc) */
    return loop->now_us > l->stop_us || atomic_load(&l->service->connections) == 0;
}

int lane_init(struct lane *l, struct service *service, struct error **err)
{
    static const struct loop_hooks hooks = {on_second, on_stop, is_over};

    l->service = service;
    l->buffer = xmalloc(BUFFER_SIZE);
    return loop_init(&l->loop, &hooks, err);
}

void lane_free(struct lane *l)
{
    loop_free(&l->loop);
    free(l->buffer);
}
