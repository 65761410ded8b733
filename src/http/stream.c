#include "http/exchange.h"

#include <stdlib.h>

#include "http/server.h"

/* libmicrohttpd offers all that is left of the connection's memory. Taking it in small pieces keeps untouched pages
 * untouched: what a sleeping stream costs is what its largest piece has ever dirtied. */
#define PIECE 2048
/* Only what an HTTP/1.0 peer's body goes through; chunks are made in the connection's own buffer. */
#define BLOCK 512

static int fate_of(const struct http_exchange *x)
{
    return x->fate == STREAM_RUNS && atomic_load(&x->server->stopping) ? STREAM_ENDS : x->fate;
}

static bool fall_asleep(struct http_exchange *x)
{
    pthread_mutex_t *lock = exchange_lock(x);
    bool asleep = false;

    pthread_mutex_lock(lock);
    if (fate_of(x) == STREAM_RUNS && !atomic_load(&x->woken)) {
        x->asleep = asleep = true;
        MHD_suspend_connection(x->connection);
    }
    pthread_mutex_unlock(lock);
    return asleep;
}

static ssize_t read_stream(void *arg, uint64_t at, char *out, size_t max)
{
    struct http_exchange *x = arg;
    pthread_mutex_t *lock = exchange_lock(x);

    do {
        /* Before the read: what happens after it looked is a reason to look again. */
        atomic_store(&x->woken, false);
        pthread_mutex_lock(lock);
        int fate = fate_of(x);
        pthread_mutex_unlock(lock);
        if (fate != STREAM_RUNS)
            return fate == STREAM_ENDS ? MHD_CONTENT_READER_END_OF_STREAM : MHD_CONTENT_READER_END_WITH_ERROR;

        ssize_t n = x->ops->read(x->stream_state, out, max < PIECE ? max : PIECE);
        if (n > 0)
            return n;
        if (n < 0)
            return n == -1 ? MHD_CONTENT_READER_END_OF_STREAM : MHD_CONTENT_READER_END_WITH_ERROR;
        server_watch_hangup(x);
    } while (!fall_asleep(x));
    return 0;
}

static void close_stream(void *arg)
{
    struct http_exchange *x = arg;
    x->ops->close(x->stream_state);
    exchange_unref(x);
}

void http_stream(struct http_exchange *x, unsigned status, const char *content_type, const struct http_stream_ops *ops,
                 void *state)
{
    x->ops = ops;
    x->stream_state = state;
    struct MHD_Response *response =
        MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, BLOCK, read_stream, exchange_ref(x), close_stream);
    if (response == NULL)
        abort();
    exchange_fill_headers(x, response, content_type);
    exchange_answer(x, status, response);
}

void http_stream_wake(struct http_exchange *x)
{
    pthread_mutex_t *lock = exchange_lock(x);

    if (atomic_exchange(&x->woken, true))
        return;
    pthread_mutex_lock(lock);
    if (x->asleep) {
        x->asleep = false;
        MHD_resume_connection(x->connection);
    }
    pthread_mutex_unlock(lock);
}

void stream_end(struct http_exchange *x, bool cut)
{
    x->fate = cut ? STREAM_CUT : STREAM_ENDS;
    if (x->asleep) {
        x->asleep = false;
        MHD_resume_connection(x->connection);
    }
}
