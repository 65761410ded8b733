#include "http/body.h"

#include <sys/socket.h>
#include <sys/uio.h>

#include "base/alloc.h"

/* A body larger than allowed is read up to this factor of the limit, for a client that does not look for an answer
 * before it has sent everything. */
#define DROP_FACTOR 4
#define BODY_SECONDS 10
#define BYTES_PER_SECOND 65536
/* One that is taken as it comes, so that it holds nothing, may be long and its line slow: it has a time for each step
 * alone. */
#define STEP_BYTES 65536
#define STEP_SECONDS 60

bool body_is_late(int64_t took_us, uint64_t received, unsigned seconds)
{
    return took_us > ((int64_t)(seconds ? seconds : BODY_SECONDS) + (int64_t)(received / BYTES_PER_SECOND)) * 1000000;
}

static struct error *too_large(const struct connection *c)
{
    struct error *err = NULL;

    error_set(&err, REASON_REQUEST_TOO_LARGE, "Request entity too large: limit is %zu", c->x->body.max);
    return err;
}

/* --- The begin --- */

static enum progress say_continue(struct connection *c)
{
    const struct str text = STR("HTTP/1.1 100 Continue\r\n\r\n");
    const struct iovec part = {(void *)(uintptr_t)text.p, text.n};

    if (!c->x->request.expects_continue)
        return GO_ON;
    return connection_send(c, &part, 1) == (ssize_t)text.n ? GO_ON : OVER;
}

/* A client that announces too much and waits for «100 Continue», or announces really much, is refused before it sends;
 * and so is one whose body nobody would hold. */
static bool is_refused_at_once(const struct http_exchange *x, bool received)
{
    return x->request.length > x->body.max &&
           (received || x->request.expects_continue || x->request.length / DROP_FACTOR > x->body.max);
}

enum progress body_begin(struct connection *c)
{
    const struct service *s = c->lane->service;
    struct http_exchange *x = c->x;
    struct error *err = NULL;

    c->received = c->piece_n = 0;
    c->receiving = c->sink_is_full = false;
    int use = s->options.body_gate ? s->options.body_gate(x, s->arg, &x->body.max, &err) : HTTP_BODY_COLLECTED;
    if (use < 0)
        return connection_refuse_with(c, err);
    if (is_refused_at_once(x, use == HTTP_BODY_RECEIVED))
        return connection_refuse_with(c, too_large(c));
    connection_wait_for(c, WAIT_BODY);
    c->spent_us = 0;
    c->state = use == HTTP_BODY_RECEIVED ? CALL_HANDLER : READ_BODY;
    c->receives = use == HTTP_BODY_RECEIVED;
    return c->receives ? GO_ON : say_continue(c);
}

/* --- Collected --- */

/* What is too large is dropped, and the answer said behind its end; what is far too large is cut. */
static enum progress collect_piece(struct connection *c)
{
    struct http_exchange *x = c->x;

    c->received += c->reader.piece.n;
    if (!x->body.overflow)
        buffer_append(&x->body, c->reader.piece.p, c->reader.piece.n);
    if (!x->body.overflow)
        return GO_ON;
    buffer_free(&x->body);
    x->body.overflow = true;
    return c->received / DROP_FACTOR > x->body.max ? connection_refuse_with(c, too_large(c)) : GO_ON;
}

static enum progress collected(struct connection *c)
{
    struct error *err;

    if (c->x->body.overflow) {
        err = too_large(c);
        answer_error(&c->answer, err);
        error_free(err);
        return connection_answer(c);
    }
    c->state = CALL_HANDLER;
    return GO_ON;
}

enum progress body_collect(struct connection *c, struct str *input)
{
    if (connection_is_stopping(c))
        return connection_refuse(c, REASON_SERVICE_UNAVAILABLE, "the server is stopping");
    switch (reader_next(&c->reader, input)) {
    case READING_MORE:
        return connection_fill(c, input);
    case READING_PIECE:
        return collect_piece(c);
    case READING_END:
        return collected(c);
    case READING_HEAD:
    case READING_BAD:
    case READING_TOO_LARGE:
    case READING_NO_METHOD:
        break;
    }
    return connection_refuse(c, REASON_BAD_REQUEST, "the request's body is not valid");
}

/* --- Taken by a sink --- */

/* The time of the peer stands still. */
static enum progress sleep_until_wanted(struct connection *c)
{
    if (c->wait == WAIT_BODY) {
        c->spent_us = c->lane->loop.now_us - c->since_us;
        connection_wait_for(c, WAIT_OTHERS);
    }
    return BLOCKED;
}

static void wait_for_more(struct connection *c)
{
    if (c->wait == WAIT_BODY)
        return;
    connection_unlist(c);
    connection_list(c, WAIT_BODY, c->lane->loop.now_us - c->spent_us);
}

/* The answer is owed by whoever had the sink. */
static enum progress cut_sink(struct connection *c, struct error *err)
{
    exchange_end_sink(c->x, err);
    error_free(err);
    c->closing = c->drains = true;
    c->state = WAIT_ANSWER;
    return GO_ON;
}

static enum progress refuse_piece(struct connection *c)
{
    struct error *err = NULL;

    error_set(&err, REASON_BAD_REQUEST, "the request's body is not valid");
    return cut_sink(c, err);
}

/* The next step begins. */
static void count_piece(struct connection *c)
{
    uint64_t before = c->received;

    c->received += c->piece_n = c->reader.piece.n;
    if (c->received / STEP_BYTES != before / STEP_BYTES)
        connection_wait_for(c, WAIT_BODY);
}

static enum progress read_piece(struct connection *c, struct str *input)
{
    const char *end = input->p + input->n;

    switch (reader_next(&c->reader, input)) {
    case READING_MORE:
        wait_for_more(c);
        return connection_fill(c, input);
    case READING_PIECE:
        count_piece(c);
        *input = (struct str){c->reader.piece.p, (size_t)(end - c->reader.piece.p)};
        return c->received > c->x->body.max ? cut_sink(c, too_large(c)) : GO_ON;
    case READING_END:
        exchange_end_sink(c->x, NULL);
        c->state = WAIT_ANSWER;
        return GO_ON;
    case READING_HEAD:
    case READING_BAD:
    case READING_TOO_LARGE:
    case READING_NO_METHOD:
        break;
    }
    return refuse_piece(c);
}

static enum progress give_piece(struct connection *c, const struct http_sink_ops *sink, struct str *input)
{
    ssize_t n = sink->write(c->x->sink_state, input->p, c->piece_n);

    if (n < 0) {
        exchange_drop_sink(c->x);
        return cut_sink(c, NULL);
    }
    c->sink_is_full = n == 0;
    if (c->sink_is_full)
        return sleep_until_wanted(c);
    *input = (struct str){input->p + n, input->n - (size_t)n};
    c->piece_n -= (size_t)n;
    return GO_ON;
}

enum progress body_receive(struct connection *c, struct str *input)
{
    const struct http_sink_ops *sink = exchange_sink(c->x);

    if (sink == NULL || c->sink_is_full)
        return sleep_until_wanted(c);
    if (c->lane == &c->lane->service->requests)
        return MOVE;
    if (!c->receiving) {
        c->receiving = true;
        return say_continue(c);
    }
    return c->piece_n ? give_piece(c, sink, input) : read_piece(c, input);
}

/* --- Dropped --- */

enum progress body_drain(struct connection *c, struct str *input)
{
    c->received += input->n;
    *input = STR("");
    return c->received / DROP_FACTOR > c->lane->service->options.max_body ? OVER : connection_fill(c, input);
}

#define LATE "the request body did not come in time"

enum progress body_check_time(struct connection *c)
{
    struct error *err = NULL;

    unsigned seconds = c->lane->service->options.body_seconds;
    int64_t took = c->lane->loop.now_us - c->since_us;

    bool late = c->state == RECEIVE_BODY ? body_is_late(took, 0, seconds ? seconds : STEP_SECONDS)
                                         : body_is_late(took, c->received, seconds);
    if (!late)
        return BLOCKED;
    if (c->state == DRAIN)
        return OVER;
    if (c->state != RECEIVE_BODY)
        return connection_refuse_as(c, 408, reason_name(REASON_TIMEOUT), LATE);
    error_set(&err, REASON_TIMEOUT, LATE);
    return cut_sink(c, err);
}
