#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/thread.h"
#include "http/exchange.h"
#include "http/server.h"

/*
 * Streams. A sleeping one must cost little, and ten thousand of them nothing to the rest; libmicrohttpd's suspended
 * connections cost 20 KiB each (its buffers), a walk over all of them at each resume, and nobody notices when the peer
 * goes. So it parses the request and sends the status line and headers, and when it asks for the first bytes of the
 * body (everything before is then in the socket), the socket is taken over: a duplicate goes to a thread of ours, and
 * in the library's hands stays a socket whose other end is closed, which it cleans up as any other.
 *
 * That thread reads streams that were woken or whose peer takes bytes again, and frames what they say as chunks (RFC
 * 9112 §7.1; for HTTP/1.0, as it is). A connection that carried a stream is closed afterwards.
 *
 * Of a stream's fields, all but `woken`, `queued` and the queue are the thread's alone.
 */

#define PIECE ((size_t)16384)
/* "4000\r\n" before a piece, "\r\n" behind it; the end is "0\r\n\r\n". */
#define CHUNK_HEAD 6
#define CHUNK_TAIL 2
/* Pieces of one stream before another has its turn. */
#define TURN 16
#define TICK_MS 1000

/* --- The queue of those to be read --- */

static void enqueue(struct http_server *s, struct http_exchange *x)
{
    uint64_t one = 1;

    LOCK_SCOPE(&s->stream_lock);
    if (x->queued || x->stream_fd < 0)
        return;
    x->queued = true;
    x->next_queued = NULL;
    bool was_empty = s->queue == NULL;
    *(was_empty ? &s->queue : &s->queue_last->next_queued) = exchange_ref(x);
    s->queue_last = x;
    if (was_empty && write(s->stream_wake_fd, &one, sizeof(one)) < 0)
        log_error("cannot wake the thread of streams: %m");
}

static struct http_exchange *dequeue(struct http_server *s)
{
    LOCK_SCOPE(&s->stream_lock);
    struct http_exchange *x = s->queue;
    if (x) {
        s->queue = x->next_queued;
        x->queued = false;
        /* What comes after this look is a reason to look again. */
        atomic_store(&x->woken, false);
    }
    return x;
}

void http_stream_wake(struct http_exchange *x)
{
    if (!atomic_exchange(&x->woken, true))
        enqueue(x->server, x);
}

/* --- Sending --- */

/* Keeps what the peer does not take now. Returns false where it has gone. */
static bool send_or_keep(struct http_server *s, struct http_exchange *x, const char *p, size_t n)
{
    ssize_t sent = send(x->stream_fd, p, n, MSG_NOSIGNAL | MSG_DONTWAIT);

    if (sent < 0 && errno != EAGAIN && errno != EINTR)
        return false;
    size_t done = sent > 0 ? (size_t)sent : 0;
    if (done < n) {
        char *rest = xmalloc(n - done);
        memcpy(rest, p + done, n - done);
        free(x->unsent);
        x->unsent = rest;
        x->unsent_n = n - done;
        s->blocked++;
        x->blocked_since_us = clock_monotonic_us();
    }
    return true;
}

static bool send_unsent(struct http_server *s, struct http_exchange *x)
{
    char *rest = steal_ptr(x->unsent);

    s->blocked--;
    bool ok = send_or_keep(s, x, rest, x->unsent_n);
    free(rest);
    return ok;
}

/* Reads a piece into the middle of the thread's buffer and puts its frame around it. */
static ssize_t read_piece(struct http_server *s, struct http_exchange *x, const char **out, size_t *out_n)
{
    char head[CHUNK_HEAD + 1], *body = s->stream_buffer + CHUNK_HEAD;
    ssize_t n = x->ops->read(x->stream_state, body, PIECE);

    if (n <= 0)
        return n;
    *out = body;
    *out_n = (size_t)n;
    if (x->chunked) {
        int head_n = snprintf(head, sizeof(head), "%zx\r\n", (size_t)n);
        *out = body - head_n;
        memcpy(body - head_n, head, (size_t)head_n);
        memcpy(body + n, "\r\n", CHUNK_TAIL);
        *out_n = (size_t)head_n + (size_t)n + CHUNK_TAIL;
    }
    return n;
}

/* One turn. Returns false when the stream is over. */
static bool advance(struct http_server *s, struct http_exchange *x)
{
    const char *p;
    size_t n;

    if (x->unsent && !send_unsent(s, x))
        return false;
    for (int i = 0; i < TURN && x->unsent == NULL; i++) {
        if (x->over)
            return false;
        ssize_t got = atomic_load(&s->stopping) ? -1 : read_piece(s, x, &p, &n);
        if (got == 0)
            return true;
        if (got < -1)
            return false;
        if (got == -1) {
            x->over = true;
            if (!x->chunked || !send_or_keep(s, x, "0\r\n\r\n", 5))
                return false;
        } else if (!send_or_keep(s, x, p, n)) {
            return false;
        }
    }
    if (x->unsent == NULL)
        http_stream_wake(x);
    return true;
}

/* --- Taking over, and the end --- */

static bool take_socket(struct http_server *s, struct http_exchange *x)
{
    int theirs = MHD_get_connection_info(x->connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
    int fd = fcntl(theirs, F_DUPFD_CLOEXEC, 3);

    if (fd < 0) {
        log_warning("a stream is cut: %m");
        return false;
    }
    server_remove_live(x);
    buffer_free(&x->body);
    /* Suspended, the descriptor is in none of the library's event sets; resumed, it finds its peer gone. */
    MHD_suspend_connection(x->connection);
    if (dup3(s->dead_fd, theirs, O_CLOEXEC) < 0)
        abort();
    MHD_resume_connection(x->connection);
    atomic_fetch_add(&s->connections, 1);

    pthread_mutex_lock(&s->stream_lock);
    x->stream_fd = fd;
    pthread_mutex_unlock(&s->stream_lock);
    exchange_ref(x);
    atomic_store(&x->woken, true);
    enqueue(s, x);
    return true;
}

/* The library's side of a stream: asked once for its body. */
static ssize_t hand_over(void *arg, uint64_t at, char *out, size_t max)
{
    struct http_exchange *x = arg;

    if (x->handed_over)
        return MHD_CONTENT_READER_END_WITH_ERROR;
    if (atomic_load(&x->server->stopping))
        return MHD_CONTENT_READER_END_OF_STREAM;
    x->handed_over = take_socket(x->server, x);
    return x->handed_over ? 0 : MHD_CONTENT_READER_END_WITH_ERROR;
}

static void response_done(void *arg)
{
    struct http_exchange *x = arg;
    if (!x->handed_over)
        x->ops->close(x->stream_state);
    exchange_unref(x);
}

static void finish(struct http_server *s, struct http_exchange *x)
{
    *(x->previous_stream ? &x->previous_stream->next_stream : &s->streams) = x->next_stream;
    if (x->next_stream)
        x->next_stream->previous_stream = x->previous_stream;
    if (x->unsent)
        s->blocked--;
    free(steal_ptr(x->unsent));
    pthread_mutex_lock(&s->stream_lock);
    int fd = x->stream_fd;
    x->stream_fd = -1;
    pthread_mutex_unlock(&s->stream_lock);
    x->ops->close(x->stream_state);
    close(fd);
    atomic_fetch_sub(&s->connections, 1);
    exchange_unref(x);
}

void http_stream(struct http_exchange *x, unsigned status, const char *content_type, const struct http_stream_ops *ops,
                 void *state)
{
    x->ops = ops;
    x->stream_state = state;
    struct MHD_Response *response =
        MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, 1, hand_over, exchange_ref(x), response_done);
    if (response == NULL)
        abort();
    exchange_fill_headers(x, response, content_type);
    exchange_close_after(x, response);
    exchange_answer(x, status, response);
}

/* --- The thread --- */

static void adopt(struct http_server *s, struct http_exchange *x)
{
    /* Edge-triggered: the peer takes bytes again, or has gone. A peer that merely shut down its sending half (RDHUP)
     * may still listen. */
    struct epoll_event event = {.events = EPOLLOUT | EPOLLET, .data.ptr = x};

    x->adopted = true;
    x->next_stream = s->streams;
    if (s->streams)
        s->streams->previous_stream = x;
    s->streams = x;
    if (epoll_ctl(s->stream_epoll_fd, EPOLL_CTL_ADD, x->stream_fd, &event) < 0)
        log_warning("cannot watch a stream: %m");
}

/* One round: what came meanwhile waits for the next, after the events. */
static void run_queue(struct http_server *s)
{
    struct http_exchange *x;

    for (int i = 0; i < 1024 && (x = dequeue(s)); i++) {
        if (x->stream_fd >= 0) {
            if (!x->adopted)
                adopt(s, x);
            if ((x->unsent == NULL || atomic_load(&s->stopping)) && !advance(s, x))
                finish(s, x);
        }
        exchange_unref(x);
    }
}

static void handle_event(struct http_server *s, const struct epoll_event *e)
{
    struct http_exchange *x = e->data.ptr;
    uint64_t count;

    if (x == NULL) {
        if (read(s->stream_wake_fd, &count, sizeof(count)) < 0 && errno != EAGAIN)
            log_error("cannot read an event: %m");
    } else if (e->events & (EPOLLHUP | EPOLLERR)) {
        finish(s, x);
    } else if (x->unsent && !advance(s, x)) {
        finish(s, x);
    }
}

/* A peer that takes nothing for as long as a connection may be idle. */
static void cut_blocked(struct http_server *s)
{
    int64_t before = clock_monotonic_us() - (int64_t)s->options.idle_seconds * 1000000;

    if (s->blocked == 0 || s->options.idle_seconds == 0)
        return;
    for (struct http_exchange *x = s->streams, *next; x; x = next) {
        next = x->next_stream;
        if (x->unsent && x->blocked_since_us < before)
            finish(s, x);
    }
}

static bool queue_is_empty(struct http_server *s)
{
    LOCK_SCOPE(&s->stream_lock);
    return s->queue == NULL;
}

static int wait_ms(struct http_server *s)
{
    return !queue_is_empty(s) ? 0 : s->blocked ? TICK_MS : -1;
}

static void *run(void *arg)
{
    struct http_server *s = arg;
    struct epoll_event events[64];
    int64_t tick = clock_monotonic_us();

    while (!atomic_load(&s->streams_stop)) {
        int n = epoll_wait(s->stream_epoll_fd, events, ARRAY_SIZE(events), wait_ms(s));
        for (int i = 0; i < n; i++)
            handle_event(s, &events[i]);
        run_queue(s);
        if (clock_monotonic_us() - tick > TICK_MS * 1000) {
            tick = clock_monotonic_us();
            cut_blocked(s);
        }
    }
    /* Those that were taken over, but not looked at yet, too. */
    while (!queue_is_empty(s))
        run_queue(s);
    while (s->streams) {
        struct http_exchange *x = s->streams;
        advance(s, x);
        finish(s, x);
    }
    while (!queue_is_empty(s))
        run_queue(s);
    return NULL;
}

/* A socket whose peer has gone. */
static int dead_socket(void)
{
    int pair[2];

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0)
        return -1;
    close(pair[1]);
    return pair[0];
}

int streams_start(struct http_server *s, struct error **err)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};

    s->dead_fd = dead_socket();
    s->stream_epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    s->stream_wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (s->dead_fd < 0 || s->stream_epoll_fd < 0 || s->stream_wake_fd < 0 ||
        epoll_ctl(s->stream_epoll_fd, EPOLL_CTL_ADD, s->stream_wake_fd, &event) < 0)
        return error_errno(err, errno, "cannot prepare for streams");
    s->stream_buffer = xmalloc(CHUNK_HEAD + PIECE + CHUNK_TAIL);
    s->stream_thread = thread_start("http-streams", run, s);
    return 0;
}

void streams_stop(struct http_server *s)
{
    uint64_t one = 1;

    atomic_store(&s->stopping, true);
    atomic_store(&s->streams_stop, true);
    if (write(s->stream_wake_fd, &one, sizeof(one)) < 0)
        abort();
    pthread_join(s->stream_thread, NULL);
}

void streams_free(struct http_server *s)
{
    int fds[] = {s->dead_fd, s->stream_epoll_fd, s->stream_wake_fd};

    for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
        if (fds[i] >= 0)
            close(fds[i]);
    free(s->stream_buffer);
    pthread_mutex_destroy(&s->stream_lock);
}
