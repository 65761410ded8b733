#include "http/stream.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/uio.h>

#include "base/alloc.h"

#define PIECE ((size_t)16384)
/* "4000\r\n" before a piece, "\r\n" behind it; the end is "0\r\n\r\n". */
#define CHUNK_HEAD 6
#define CHUNK_TAIL 2

static enum progress send_or_keep(struct connection *c, char *p, size_t n)
{
    const struct iovec part = {p, n};
    ssize_t sent = connection_send(c, &part, 1);

    if (sent < 0)
        return OVER;
    if ((size_t)sent < n) {
        c->rest_n = n - (size_t)sent;
        c->rest_at = 0;
        c->rest = xmalloc(c->rest_n);
        memcpy(c->rest, p + sent, c->rest_n);
    }
    return GO_ON;
}

/* Stopping waits for no peer. */
static enum progress send_rest(struct connection *c)
{
    const struct iovec part = {c->rest + c->rest_at, c->rest_n - c->rest_at};
    ssize_t sent = connection_send(c, &part, 1);

    if (sent <= 0)
        return sent < 0 || connection_is_stopping(c) ? OVER : BLOCKED;
    c->rest_at += (size_t)sent;
    if (c->rest_at == c->rest_n)
        free(steal_ptr(c->rest));
    else
        connection_wait_for(c, WAIT_PEER);
    return GO_ON;
}

static enum progress sleep_until_woken(struct connection *c)
{
    connection_forget_output(c);
    if (c->wait != WAIT_OTHERS)
        connection_wait_for(c, WAIT_OTHERS);
    return BLOCKED;
}

static enum progress send_end(struct connection *c)
{
    static char end[] = "0\r\n\r\n";

    c->stream_over = true;
    return c->x->request.is_old ? OVER : send_or_keep(c, end, sizeof(end) - 1);
}

static enum progress send_piece(struct connection *c, char *body, size_t n)
{
    char head[CHUNK_HEAD + 1];

    if (c->x->request.is_old)
        return send_or_keep(c, body, n);
    size_t head_n = (size_t)snprintf(head, sizeof(head), "%zx\r\n", n);
    memcpy(body - head_n, head, head_n);
    memcpy(body + n, "\r\n", CHUNK_TAIL);
    return send_or_keep(c, body - head_n, head_n + n + CHUNK_TAIL);
}

enum progress stream_send(struct connection *c)
{
    char *body = c->lane->buffer + CHUNK_HEAD;
    struct http_exchange *x = c->x;

    if (c->gone)
        return OVER;
    if (c->rest)
        return send_rest(c);
    if (c->stream_over)
        return OVER;
    if (c->lane->budget == 0)
        return connection_go_on_later(c);
    c->lane->budget--;
    ssize_t n = connection_is_stopping(c) ? -1 : x->stream->read(x->stream_state, body, PIECE);
    if (n == 0)
        return sleep_until_woken(c);
    if (n < -1)
        return OVER;
    return n < 0 ? send_end(c) : send_piece(c, body, (size_t)n);
}
