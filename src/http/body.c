#include "http/body.h"

#include <limits.h>
#include <sys/socket.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/thread.h"
#include "http/exchange.h"
#include "http/server.h"

/*
 * Request bodies: how large, and within which time. nginx hands them on as they come, so that who sends slowly holds a
 * connection here, and what was sent so far.
 */

/* A body larger than allowed is read up to this factor of the limit, for a client that does not look for an answer
 * before it has sent everything. */
#define DROP_FACTOR 4
/* The whole of a body has this time, and a second more for each such piece that has come: 3 MiB have 58 s. */
#define BODY_SECONDS 10
#define BYTES_PER_SECOND 65536
#define TOO_LARGE "Request entity too large: limit is %zu"

bool body_is_late(int64_t took_us, size_t received, unsigned seconds)
{
    return took_us > ((int64_t)(seconds ? seconds : BODY_SECONDS) + (int64_t)(received / BYTES_PER_SECOND)) * 1000000;
}

/* --- Those that are coming --- */

static void add_coming(struct http_exchange *x)
{
    struct http_server *s = x->server;

    LOCK_SCOPE(&s->lock);
    x->coming = true;
    x->coming_since_us = clock_monotonic_us();
    x->next = s->coming;
    if (s->coming)
        s->coming->previous = x;
    s->coming = x;
}

bool body_end(struct http_exchange *x)
{
    struct http_server *s = x->server;

    LOCK_SCOPE(&s->lock);
    if (!x->coming)
        return !x->answered_aside;
    x->coming = false;
    *(x->previous ? &x->previous->next : &s->coming) = x->next;
    if (x->next)
        x->next->previous = x->previous;
    x->next = x->previous = NULL;
    return !x->answered_aside;
}

/* An answer before the body is whole. libmicrohttpd takes none in its midst, and after one at its begin it closes:
 * nginx, which is still sending then, takes that for a server that went away. So the answer goes out beside it, and
 * what comes yet is read and dropped until the peer has had enough, at the latest when its time is over. With the
 * server lock held: the connection is there until body_end. */
static void answer_aside(struct http_exchange *x, unsigned code, const struct error *err)
{
    _cleanup_buffer_ struct buffer body = BUFFER_MAX(4096), answer = BUFFER_MAX(8192);
    int fd = MHD_get_connection_info(x->connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;

    buffer_puts(&body,
                "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{},\"status\":\"Failure\",\"message\":");
    buffer_json_string(&body, str_from(err->message));
    buffer_printf(&body, ",\"reason\":\"%s\",\"code\":%u}\n", reason_name(err->reason), code);
    buffer_printf(&answer, "HTTP/1.1 %u %s\r\nContent-Type: application/json\r\nConnection: close\r\n", code,
                  MHD_get_reason_phrase_for(code));
    if (err->retry_after)
        buffer_printf(&answer, "Retry-After: %u\r\n", err->retry_after);
    buffer_printf(&answer, "Content-Length: %zu\r\n\r\n%s", body.n, body.p);
    x->answered_aside = true;
    ssize_t ignored _unused_ = send(fd, answer.p, answer.n, MSG_DONTWAIT | MSG_NOSIGNAL);
    shutdown(fd, SHUT_WR);
}

static void say_late(struct http_exchange *x)
{
    _cleanup_error_ struct error *err = NULL;

    error_set(&err, REASON_TIMEOUT, "the request body did not come in time");
    answer_aside(x, MHD_HTTP_REQUEST_TIMEOUT, err);
    x->coming_since_us = clock_monotonic_us();
}

static void cut(const struct http_exchange *x)
{
    shutdown(MHD_get_connection_info(x->connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd, SHUT_RDWR);
}

void bodies_check(struct http_server *s, int64_t now_us)
{
    LOCK_SCOPE(&s->lock);
    for (struct http_exchange *x = s->coming; x; x = x->next) {
        if (!body_is_late(now_us - x->coming_since_us, atomic_load(&x->received), s->options.body_seconds))
            continue;
        if (x->answered_aside)
            cut(x);
        else
            say_late(x);
    }
}

/* --- One of them --- */

enum MHD_Result body_too_large(struct http_exchange *x)
{
    _cleanup_free_ char *message = xasprintf(TOO_LARGE, x->body.max);
    return exchange_refuse(x, REASON_REQUEST_TOO_LARGE, message);
}

static bool has_body(const struct http_exchange *x)
{
    const char *length = http_header(x, MHD_HTTP_HEADER_CONTENT_LENGTH);
    return http_header(x, MHD_HTTP_HEADER_TRANSFER_ENCODING) || (length && !streq(length, "0"));
}

/* A client that announces too much and waits for «100 Continue», or announces really much, is refused before it sends.
 */
static bool is_refused_at_once(const struct http_exchange *x)
{
    unsigned long long length = http_announced(x);
    return length > x->body.max && (http_header(x, MHD_HTTP_HEADER_EXPECT) || length / DROP_FACTOR > x->body.max);
}

unsigned long long http_announced(const struct http_exchange *x)
{
    const char *announced = http_header(x, MHD_HTTP_HEADER_CONTENT_LENGTH);
    unsigned long long length;

    return announced && str_to_u64(str_from(announced), ULLONG_MAX, &length) == 0 ? length : 0;
}

/* Takes the error. */
static enum MHD_Result refuse(struct http_exchange *x, struct error *err)
{
    LOCK_SCOPE(&x->server->lock);
    answer_aside(x, reason_code(err->reason), err);
    error_free(err);
    return MHD_YES;
}

enum MHD_Result body_begin(struct http_exchange *x)
{
    const struct http_options *o = &x->server->options;
    struct error *err = NULL;

    if (!has_body(x))
        return MHD_YES;
    add_coming(x);
    if (o->body_gate && o->body_gate(x, x->server->arg, &x->body.max, &err) < 0)
        return refuse(x, err);
    if (!is_refused_at_once(x))
        return MHD_YES;
    error_set(&err, REASON_REQUEST_TOO_LARGE, TOO_LARGE, x->body.max);
    return refuse(x, err);
}

enum MHD_Result body_take(struct http_exchange *x, const char *data, size_t *n)
{
    size_t length = *n;

    *n = 0;
    if (x->answered_aside)
        return MHD_YES;
    if (!x->body.overflow)
        buffer_append(&x->body, data, length);
    if (x->body.overflow) {
        buffer_clear(&x->body);
        x->body.overflow = true;
        x->dropped += length;
        if (x->dropped / DROP_FACTOR > x->body.max)
            return MHD_NO;
    }
    atomic_fetch_add(&x->received, length);
    return MHD_YES;
}
