#include "runner/engine/logs.h"

#include "runner/engine/container.h"

#define LOG_MS 20000

static uint32_t big_endian(const unsigned char *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* A head begins with 0, 1 or 2 and three zeros; a terminal's log has none and is text. */
static size_t take_head(struct demultiplexer *d, struct str in)
{
    size_t n = sizeof(d->head) - d->head_len;
    if (n > in.n)
        n = in.n;
    memcpy(d->head + d->head_len, in.p, n);
    d->head_len += n;
    if (d->head_len == sizeof(d->head)) {
        if (d->head[0] > 2 || d->head[1] || d->head[2] || d->head[3])
            d->plain = true;
        else
            d->left = big_endian(d->head + 4);
    }
    return n;
}

int demultiplex(struct demultiplexer *d, struct str in, int (*write)(void *arg, struct str text), void *arg)
{
    while (in.n) {
        if (d->plain)
            return write(arg, in);
        if (d->left == 0) {
            if (d->head_len == sizeof(d->head))
                d->head_len = 0;
            size_t n = take_head(d, in);
            in = (struct str){in.p + n, in.n - n};
            if (d->plain && write(arg, (struct str){(const char *)d->head, sizeof(d->head)}) < 0)
                return -1;
            continue;
        }
        size_t n = in.n < d->left ? in.n : d->left;
        if (write(arg, (struct str){in.p, n}) < 0)
            return -1;
        d->left -= n;
        in = (struct str){in.p + n, in.n - n};
    }
    return 0;
}

struct log_reader {
    struct demultiplexer d;
    int (*write)(void *arg, struct str text);
    void *arg;
};

static int take_piece(void *arg, struct str piece)
{
    struct log_reader *r = arg;
    return demultiplex(&r->d, piece, r->write, r->arg);
}

int engine_logs(struct runtime *r, const char *instance, const struct runtime_log_options *o,
                int (*write)(void *arg, struct str text), void *arg, struct error **err)
{
    struct engine *e = engine_of(r);
    _cleanup_arena_ struct arena *a = arena_new();
    _cleanup_answer_ struct answer answer = {0};
    struct log_reader reader = {.write = write, .arg = arg};
    struct transport *t;
    const char *id;

    if (engine_transport(e, &t, err) < 0 || engine_find(e, a, instance, &id, err) < 0)
        return -1;
    const char *tail = o->tail != RUNTIME_LOG_ALL ? arena_printf(a, "%u", o->tail) : "all";
    const char *path = arena_printf(a, API "/containers/%s/logs?stdout=true&stderr=true&follow=%s&tail=%s", id,
                                    o->follow ? "true" : "false", tail);
    struct call c = {.method = "GET",
                     .path = path,
                     .timeout_ms = o->follow ? 0 : LOG_MS,
                     .stop_fd = o->stop_fd >= 0 ? o->stop_fd : e->stop_fd,
                     .receive = take_piece,
                     .arg = &reader};
    if (transport_call(t, &c, &answer, err) < 0)
        return -1;
    if (answer.status == 404)
        return error_set(err, REASON_NOT_FOUND, "the environment has no container");
    if (answer.status / 100 != 2)
        return error_set(err, REASON_INTERNAL, "the container engine refused the log (%u)", answer.status);
    return 0;
}
