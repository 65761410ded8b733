#include "http/exchange.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/log.h"
#include "base/thread.h"

/* Nobody needs more of them. */
#define MAX_PARAMETERS 256
#define HEADERS_MAX ((size_t)32 * 1024)

static enum http_method method_of(const char *name)
{
    static const char *const methods[] = {
        [HTTP_GET] = "GET",     [HTTP_HEAD] = "HEAD",     [HTTP_POST] = "POST",       [HTTP_PUT] = "PUT",
        [HTTP_PATCH] = "PATCH", [HTTP_DELETE] = "DELETE", [HTTP_OPTIONS] = "OPTIONS",
    };

    for (unsigned i = 0; i < ARRAY_SIZE(methods); i++)
        if (strcmp(name, methods[i]) == 0)
            return (enum http_method)i;
    return HTTP_OTHER;
}

struct http_exchange *exchange_new(struct request *q, enum http_role role, size_t max_body, struct loop *loop,
                                   void (*on_turn)(struct loop_posted *p, struct loop *l))
{
    struct http_exchange *x = xcalloc(1, sizeof(*x));

    x->posted.on_turn = on_turn;
    x->references = 1;
    x->loop = loop;
    x->request = *q;
    q->arena = NULL;
    x->role = role;
    x->method = method_of(x->request.method);
    x->query = x->request.target;
    str_split(&x->query, '?', &x->path);
    x->body = BUFFER_MAX(max_body);
    x->headers = BUFFER_MAX(HEADERS_MAX);
    pthread_mutex_init(&x->lock, NULL);
    return x;
}

struct http_exchange *exchange_ref(struct http_exchange *x)
{
    atomic_fetch_add_explicit(&x->references, 1, memory_order_relaxed);
    return x;
}

void exchange_unref(struct http_exchange *x)
{
    if (atomic_fetch_sub_explicit(&x->references, 1, memory_order_acq_rel) != 1)
        return;
    answer_free(&x->answer);
    buffer_free(&x->headers);
    buffer_free(&x->body);
    request_free(&x->request);
    pthread_mutex_destroy(&x->lock);
    free(x);
}

void exchange_post(struct http_exchange *x)
{
    if (atomic_exchange(&x->is_posted, true))
        return;
    exchange_ref(x);
    loop_post(atomic_load(&x->loop), &x->posted);
}

/* --- The request --- */

enum http_role http_role(const struct http_exchange *x)
{
    return x->role;
}

enum http_method http_method(const struct http_exchange *x)
{
    return x->method;
}

const char *http_method_name(const struct http_exchange *x)
{
    return x->request.method;
}

struct str http_path(const struct http_exchange *x)
{
    return x->path;
}

static size_t most_parameters(const struct http_exchange *x)
{
    size_t n = 1;

    for (size_t i = 0; i < x->query.n; i++)
        n += x->query.p[i] == '&';
    return n;
}

bool exchange_has_too_many_parameters(const struct http_exchange *x)
{
    return most_parameters(x) > MAX_PARAMETERS;
}

static void parse_query(struct http_exchange *x)
{
    struct str rest = x->query;
    struct query_parameter p;

    x->parameters = arena_alloc(x->request.arena, most_parameters(x) * sizeof(*x->parameters));
    while (query_next(&rest, x->request.arena, &p))
        x->parameters[x->parameters_len++] = p;
}

bool http_next_query(struct http_exchange *x, size_t *at, const char **name, const char **value)
{
    if (x->parameters == NULL)
        parse_query(x);
    if (*at >= x->parameters_len)
        return false;
    *name = x->parameters[*at].name;
    *value = x->parameters[*at].value;
    (*at)++;
    return true;
}

const char *http_query(struct http_exchange *x, const char *name)
{
    const char *key, *value;

    for (size_t at = 0; http_next_query(x, &at, &key, &value);)
        if (strcmp(key, name) == 0)
            return value;
    return NULL;
}

const char *http_header(const struct http_exchange *x, const char *name)
{
    return request_find_header(&x->request, name);
}

struct str http_body(const struct http_exchange *x)
{
    return buffer_str(&x->body);
}

unsigned long long http_announced(const struct http_exchange *x)
{
    return x->request.length;
}

struct arena *http_arena(struct http_exchange *x)
{
    return x->request.arena;
}

/* --- The answer --- */

void http_add_header(struct http_exchange *x, const char *name, const char *value)
{
    answer_add_header(&x->headers, name, value);
}

/* Takes the answer, and ends the answerer's part. False where nobody wants it any more. */
static bool give_answer(struct http_exchange *x, struct answer *a)
{
    pthread_mutex_lock(&x->lock);
    bool waiting = x->state == WAITING, wanted = waiting || x->state == HANDLING;
    if (!wanted && x->state != ABANDONED) {
        log_error("a request was answered twice");
        abort();
    }
    if (wanted) {
        x->answer = *a;
        x->state = ANSWERED;
    }
    /* With the lock: the loop ends no sooner than it has abandoned what waits. */
    if (waiting)
        exchange_post(x);
    pthread_mutex_unlock(&x->lock);
    if (!wanted)
        answer_free(a);
    exchange_unref(x);
    return wanted;
}

static void begin_answer(struct http_exchange *x, struct answer *a, unsigned status, const char *content_type)
{
    answer_begin(a, status, content_type);
    buffer_add(&a->head, buffer_str(&x->headers));
}

void http_reply(struct http_exchange *x, unsigned status, const char *content_type, struct str body)
{
    struct answer a;

    begin_answer(x, &a, status, content_type);
    answer_copy_body(&a, body);
    give_answer(x, &a);
}

void http_reply_shared(struct http_exchange *x, unsigned status, const char *content_type, struct str body, void *owner,
                       void (*release)(void *owner))
{
    struct answer a;

    begin_answer(x, &a, status, content_type);
    answer_share_body(&a, body, owner, release);
    give_answer(x, &a);
}

void http_stream(struct http_exchange *x, unsigned status, const char *content_type, const struct http_stream_ops *ops,
                 void *state)
{
    struct answer a;

    begin_answer(x, &a, status, content_type);
    if (!x->request.is_old)
        buffer_add(&a.head, STR("Transfer-Encoding: chunked\r\n"));
    x->stream_state = state;
    x->stream = ops;
    if (!give_answer(x, &a))
        ops->close(state);
}

void http_stream_wake(struct http_exchange *x)
{
    exchange_post(x);
}

void exchange_close_stream(struct http_exchange *x)
{
    const struct http_stream_ops *ops = steal_ptr(x->stream);
    if (ops)
        ops->close(x->stream_state);
}

/* --- A body that is taken as it comes --- */

static bool offer_sink(struct http_exchange *x, const struct http_sink_ops *ops, void *state)
{
    LOCK_SCOPE(&x->lock);
    if (x->state == ABANDONED)
        return false;
    x->sink_state = state;
    x->sink = ops;
    if (x->state == WAITING)
        exchange_post(x);
    return true;
}

void http_receive(struct http_exchange *x, const struct http_sink_ops *ops, void *state)
{
    _cleanup_error_ struct error *err = NULL;

    if (offer_sink(x, ops, state))
        return;
    error_set(&err, REASON_SERVICE_UNAVAILABLE, "the peer has gone");
    ops->end(state, err);
}

void http_receive_wake(struct http_exchange *x)
{
    exchange_post(x);
}

const struct http_sink_ops *exchange_sink(struct http_exchange *x)
{
    LOCK_SCOPE(&x->lock);
    return x->sink;
}

void exchange_drop_sink(struct http_exchange *x)
{
    LOCK_SCOPE(&x->lock);
    x->sink = NULL;
}

void exchange_end_sink(struct http_exchange *x, const struct error *why)
{
    pthread_mutex_lock(&x->lock);
    const struct http_sink_ops *ops = steal_ptr(x->sink);
    pthread_mutex_unlock(&x->lock);
    if (ops)
        ops->end(x->sink_state, why);
}

/* --- Whoever waits --- */

void http_on_gone(struct http_exchange *x, void (*gone)(void *arg), void *arg)
{
    LOCK_SCOPE(&x->lock);
    x->gone = gone;
    x->gone_arg = arg;
}

enum exchange_state exchange_state(struct http_exchange *x)
{
    LOCK_SCOPE(&x->lock);
    return x->state;
}

void exchange_wait(struct http_exchange *x)
{
    LOCK_SCOPE(&x->lock);
    if (x->state == HANDLING)
        x->state = WAITING;
}

bool exchange_abandon(struct http_exchange *x, const char *why)
{
    _cleanup_error_ struct error *err = NULL;

    pthread_mutex_lock(&x->lock);
    bool owed = x->state == HANDLING || x->state == WAITING, has_sink = x->sink;
    if (owed) {
        x->state = ABANDONED;
        if (x->gone && !has_sink)
            x->gone(x->gone_arg);
    }
    pthread_mutex_unlock(&x->lock);
    if (has_sink) {
        error_set(&err, REASON_SERVICE_UNAVAILABLE, "%s", why);
        exchange_end_sink(x, err);
    }
    return owed;
}
