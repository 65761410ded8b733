#include "http/server.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/log.h"
#include "base/thread.h"
#include "http/body.h"
#include "http/exchange.h"

/*
 * What of a connection is not the exchange's: who may connect and how many, and the daemon's start and stop.
 *
 * The listening socket is inherited by the next process, so that it must neither be closed nor shut down (shutdown
 * would hit every duplicate of it): the daemon gets a duplicate and is quiesced before it stops.
 */

/* Of one connection, cleared with every request. What nginx lets through fits: an address of 8 KiB, 16 KiB of headers,
 * its own, their table and the answer's headers; more is 431. At most 32 KiB, since beyond that libmicrohttpd maps
 * pages for each connection instead of taking it from the heap. Runner and server ask each other for little. */
#define POOL_SIZE ((size_t)32 * 1024)
#define SMALL_POOL_SIZE ((size_t)12 * 1024)
#define POOL_INCREMENT ((size_t)1024)
/* Nobody needs more of them. */
#define MAX_PARAMETERS 256
/* How long answers in progress have to get out when the server stops. */
#define STOP_US 2000000
#define LOG_LINES_PER_SECOND 20

/* --- Library messages --- */

/* Peers that go or send nonsense are everyday life, and nobody's business at the usual level. */
static bool is_about_peer(const char *line)
{
    static const char *const beginnings[] = {
        "Closing connection",       "Failed to send",    "Application reported",
        "Error processing request", "Failed to parse",   "Received",
        "Too many meaningless",     "Not enough memory", "Connection socket is closed"};

    for (size_t i = 0; i < ARRAY_SIZE(beginnings); i++)
        if (starts_with(line, beginnings[i]))
            return true;
    return false;
}

static void log_library(void *arg, const char *fmt, va_list args) __attribute__((format(printf, 2, 0)));
static void log_library(void *arg, const char *fmt, va_list args)
{
    struct http_server *s = arg;
    char line[512];
    long long now = clock_monotonic_us() / 1000000;

    vsnprintf(line, sizeof(line), fmt, args);
    if (is_about_peer(line)) {
        log_debug("http: %s", line);
        return;
    }
    if (atomic_exchange(&s->log_second, now) != now)
        atomic_store(&s->log_lines, 0);
    if (atomic_fetch_add(&s->log_lines, 1) < LOG_LINES_PER_SECOND)
        log_warning("http: %s", line);
}

/* --- Connections --- */

static bool may_connect(struct http_server *s, int fd)
{
    struct ucred peer;
    socklen_t n = sizeof(peer);

    if (s->options.peer_uid == (uid_t)-1)
        return true;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &n) < 0)
        return false;
    if (peer.uid == s->options.peer_uid || peer.uid == 0)
        return true;
    log_warning("http: refused a connection of user id %u", (unsigned)peer.uid);
    return false;
}

/* The library forgets a request whose headers it cannot read: nobody tells that it is over (on_completed). */
struct begun {
    struct http_exchange *x; /* NULL: none, or the library knows it by now */
};

static struct begun *begun_of(struct MHD_Connection *connection)
{
    return MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
}

static void close_connection(struct http_server *s, struct begun *b)
{
    if (b->x)
        exchange_unref(b->x);
    free(b);
    atomic_fetch_sub(&s->connections, 1);
}

/* The library offers no way to refuse by descriptor; a connection that is shut down ends at its first read. */
static void on_connection(void *arg, struct MHD_Connection *connection, void **context,
                          enum MHD_ConnectionNotificationCode code)
{
    struct http_server *s = arg;
    int fd = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;

    if (code == MHD_CONNECTION_NOTIFY_CLOSED)
        return close_connection(s, *context);
    *context = xcalloc(1, sizeof(struct begun));
    unsigned before = atomic_fetch_add(&s->connections, 1);
    if (before >= s->options.max_connections || !may_connect(s, fd))
        shutdown(fd, SHUT_RDWR);
}

/* --- Requests --- */

static size_t keep_raw(void *arg, struct MHD_Connection *connection, char *s)
{
    return strlen(s);
}

/* libmicrohttpd would keep a record of each query parameter in the connection's pool, and where that overflows leaves
 * the connection open without an answer. We read them from a copy of the address; what it parses afterwards becomes a
 * single one. The bytes are its own buffer's. */
static void *on_uri(void *arg, const char *uri, struct MHD_Connection *connection)
{
    struct http_exchange *x = exchange_new(arg, connection, uri);
    char *query = strchr((char *)(uintptr_t)uri, '?');

    for (char *c = query; c && *c; c++)
        if (*c == '&')
            *c = '_';
    begun_of(connection)->x = x;
    return x;
}

static bool has_too_many_parameters(const struct http_exchange *x)
{
    size_t n = 1;

    for (size_t i = 0; i < x->query.n; i++)
        n += x->query.p[i] == '&';
    return n > MAX_PARAMETERS;
}

static enum MHD_Result begin(struct http_exchange *x, const char *method)
{
    exchange_take_request(x, method);
    if (has_too_many_parameters(x))
        return exchange_refuse(x, REASON_BAD_REQUEST, "the address has too many query parameters");
    return body_begin(x);
}

/* The handler has returned or the connection was resumed: send what there is, or sleep. */
static enum MHD_Result proceed(struct http_exchange *x)
{
    pthread_mutex_t *lock = exchange_lock(x);

    pthread_mutex_lock(lock);
    if (x->state == HANDLING) {
        if (!atomic_load(&x->server->stopping)) {
            exchange_wait(x);
            pthread_mutex_unlock(lock);
            return MHD_YES;
        }
        x->state = ABANDONED;
        x->status = MHD_HTTP_SERVICE_UNAVAILABLE;
        x->response = exchange_status_response(REASON_SERVICE_UNAVAILABLE, "the server is stopping");
        if (x->gone)
            x->gone(x->gone_arg);
    }
    struct MHD_Response *response = steal_ptr(x->response);
    pthread_mutex_unlock(lock);
    return response ? exchange_queue(x, x->status, response) : MHD_NO;
}

static bool is_answered(struct http_exchange *x)
{
    LOCK_SCOPE(exchange_lock(x));
    return x->state != HANDLING;
}

static enum MHD_Result handle(struct http_exchange *x)
{
    if (!body_end(x))
        return MHD_NO;
    if (x->body.overflow)
        return body_too_large(x);
    x->state = HANDLING;
    x->handled = true;
    atomic_fetch_add(&x->server->busy, 1);
    exchange_ref(x);
    x->server->handler(x, x->server->arg);
    if (!is_answered(x))
        server_add_live(x);
    enum MHD_Result rc = proceed(x);
    /* After it sleeps: what is noticed before would be lost. The exchange is the connection's until we return. */
    if (x->gone)
        hangup_look_at(x);
    return rc;
}

static enum MHD_Result on_request(void *arg, struct MHD_Connection *connection, const char *url, const char *method,
                                  const char *version, const char *data, size_t *n, void **context)
{
    struct http_exchange *x = *context;

    begun_of(connection)->x = NULL;
    if (x->method_name == NULL) {
        x->chunked = starts_with(version, "HTTP/1.") && version[7] != '0';
        return begin(x, method);
    }
    if (x->state == RECEIVING)
        return *n ? body_take(x, data, n) : handle(x);
    return proceed(x);
}

/* Of a connection that ended when it was resumed for it: a stream's holds its exchange, and would never be closed. */
static void drop_response(struct http_exchange *x)
{
    pthread_mutex_t *lock = exchange_lock(x);

    pthread_mutex_lock(lock);
    struct MHD_Response *response = steal_ptr(x->response);
    pthread_mutex_unlock(lock);
    if (response)
        MHD_destroy_response(response);
}

static void on_completed(void *arg, struct MHD_Connection *connection, void **context,
                         enum MHD_RequestTerminationCode code)
{
    struct http_exchange *x = *context;
    struct http_server *s = arg;

    if (x == NULL)
        return;
    *context = NULL;
    begun_of(connection)->x = NULL;
    server_remove_live(x);
    body_end(x);
    drop_response(x);
    if (x->handled && atomic_fetch_sub(&s->busy, 1) == 1 && atomic_load(&s->stopping)) {
        LOCK_SCOPE(&s->lock);
        pthread_cond_broadcast(&s->quiet);
    }
    exchange_unref(x);
}

/* --- Life --- */

struct http_server *http_server_ref(struct http_server *s)
{
    atomic_fetch_add_explicit(&s->references, 1, memory_order_relaxed);
    return s;
}

void http_server_unref(struct http_server *s)
{
    if (atomic_fetch_sub_explicit(&s->references, 1, memory_order_acq_rel) != 1)
        return;
    for (size_t i = 0; i < ARRAY_SIZE(s->locks); i++)
        pthread_mutex_destroy(&s->locks[i]);
    pthread_mutex_destroy(&s->lock);
    pthread_cond_destroy(&s->quiet);
    if (s->epoll_fd >= 0)
        close(s->epoll_fd);
    if (s->wake_fd >= 0)
        close(s->wake_fd);
    if (s->listen_fd >= 0)
        close(s->listen_fd);
    streams_free(s);
    free(s->polled);
    free(s);
}

void server_add_live(struct http_exchange *x)
{
    struct http_server *s = x->server;

    LOCK_SCOPE(&s->lock);
    if (x->live)
        return;
    x->live = true;
    x->waiting_since_us = clock_monotonic_us();
    x->next = s->live;
    if (s->live)
        s->live->previous = x;
    s->live = x;
}

void server_remove_live(struct http_exchange *x)
{
    struct http_server *s = x->server;

    LOCK_SCOPE(&s->lock);
    hangup_forget(x);
    if (!x->live)
        return;
    x->live = false;
    *(x->previous ? &x->previous->next : &s->live) = x->next;
    if (x->next)
        x->next->previous = x->previous;
    x->next = x->previous = NULL;
}

static struct http_server *server_new(const struct http_options *options, http_handler *handler, void *arg)
{
    struct http_server *s = xcalloc(1, sizeof(*s));

    s->references = 1;
    s->options = *options;
    s->handler = handler;
    s->arg = arg;
    s->epoll_fd = s->wake_fd = s->stream_epoll_fd = s->stream_wake_fd = s->dead_fd = -1;
    pthread_mutex_init(&s->stream_lock, NULL);
    s->listen_fd = fcntl(options->listen_fd, F_DUPFD_CLOEXEC, 3);
    pthread_mutex_init(&s->lock, NULL);
    cond_init_monotonic(&s->quiet);
    for (size_t i = 0; i < ARRAY_SIZE(s->locks); i++)
        pthread_mutex_init(&s->locks[i], NULL);
    return s;
}

static int start_daemon(struct http_server *s, struct error **err)
{
    /* Ours is the limit that counts (on_connection): at its own the library stops to accept. */
    unsigned limit = s->options.max_connections + 64;
    bool small = s->options.role == HTTP_RUNNER || s->options.role == HTTP_LOGS;

    s->daemon = MHD_start_daemon(
        MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ITC | MHD_USE_ERROR_LOG, 0, NULL, NULL,
        on_request, s, MHD_OPTION_EXTERNAL_LOGGER, log_library, s, MHD_OPTION_LISTEN_SOCKET, s->listen_fd,
        MHD_OPTION_CONNECTION_LIMIT, limit, MHD_OPTION_CONNECTION_MEMORY_LIMIT, small ? SMALL_POOL_SIZE : POOL_SIZE,
        MHD_OPTION_CONNECTION_MEMORY_INCREMENT, POOL_INCREMENT, MHD_OPTION_CONNECTION_TIMEOUT, s->options.idle_seconds,
        MHD_OPTION_UNESCAPE_CALLBACK, keep_raw, NULL, MHD_OPTION_URI_LOG_CALLBACK, on_uri, s,
        MHD_OPTION_NOTIFY_CONNECTION, on_connection, s, MHD_OPTION_NOTIFY_COMPLETED, on_completed, s,
        MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_END);
    return s->daemon ? 0 : error_set(err, REASON_INTERNAL, "cannot start the HTTP server: %s", strerror(errno));
}

struct http_server *http_server_start(const struct http_options *options, http_handler *handler, void *arg,
                                      struct error **err)
{
    struct http_server *s = server_new(options, handler, arg);

    if (s->listen_fd < 0) {
        error_errno(err, errno, "cannot use the listening socket");
    } else if (hangup_start(s, err) == 0) {
        if (streams_start(s, err) == 0) {
            if (start_daemon(s, err) == 0)
                return s;
            streams_stop(s);
        }
        hangup_stop(s);
    }
    http_server_unref(s);
    return NULL;
}

static void end(struct http_exchange *x)
{
    LOCK_SCOPE(exchange_lock(x));
    if (x->state == WAITING)
        exchange_abandon(x, MHD_HTTP_SERVICE_UNAVAILABLE,
                         exchange_status_response(REASON_SERVICE_UNAVAILABLE, "the server is stopping"));
}

void http_server_stop(struct http_server *s)
{
    if (s == NULL)
        return;
    MHD_quiesce_daemon(s->daemon);
    atomic_store(&s->stopping, true);

    pthread_mutex_lock(&s->lock);
    for (struct http_exchange *x = s->live; x; x = x->next)
        end(x);
    int64_t deadline = clock_monotonic_us() + STOP_US;
    while (atomic_load(&s->busy) && cond_wait_until(&s->quiet, &s->lock, deadline) == 0)
        ;
    pthread_mutex_unlock(&s->lock);

    MHD_stop_daemon(s->daemon);
    streams_stop(s);
    hangup_stop(s);
    http_server_unref(s);
}
