#include "http/exchange.h"

#include <stdlib.h>
#include <strings.h>

#include "base/alloc.h"
#include "base/log.h"
#include "base/thread.h"
#include "http/server.h"

struct http_exchange *exchange_new(struct http_server *server, struct MHD_Connection *connection, const char *uri)
{
    struct http_exchange *x = xcalloc(1, sizeof(*x));

    x->references = 1;
    x->server = http_server_ref(server);
    x->connection = connection;
    x->arena = arena_new();
    x->polled_fd = x->stream_fd = -1;
    x->body = BUFFER_MAX(server->options.max_body);

    const char *copy = arena_strdup(x->arena, uri), *mark = strchr(copy, '?');
    x->path = mark ? (struct str){copy, (size_t)(mark - copy)} : str_from(copy);
    x->query = str_from(mark ? mark + 1 : "");
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
    if (x->response)
        MHD_destroy_response(x->response);
    buffer_free(&x->body);
    arena_free(x->arena);
    http_server_unref(x->server);
    free(x);
}

pthread_mutex_t *exchange_lock(struct http_exchange *x)
{
    return &x->server->locks[((uintptr_t)x >> 6) % ARRAY_SIZE(x->server->locks)];
}

/* --- The request --- */

struct header_copy {
    struct http_exchange *x;
    size_t n, bytes;
    char *at;
};

static enum MHD_Result measure_header(void *arg, enum MHD_ValueKind kind, const char *name, size_t name_n,
                                      const char *value, size_t value_n)
{
    struct header_copy *c = arg;
    c->n++;
    c->bytes += name_n + value_n + 2;
    return MHD_YES;
}

static const char *copy_string(struct header_copy *c, const char *p, size_t n)
{
    char *at = c->at;
    if (n)
        memcpy(at, p, n);
    at[n] = '\0';
    c->at += n + 1;
    return at;
}

static enum MHD_Result copy_header(void *arg, enum MHD_ValueKind kind, const char *name, size_t name_n,
                                   const char *value, size_t value_n)
{
    struct header_copy *c = arg;
    struct exchange_header *h = &c->x->headers[c->x->headers_len++];
    h->name = copy_string(c, name, name_n);
    h->value = copy_string(c, value, value_n);
    return MHD_YES;
}

static const char *const methods[] = {
    [HTTP_GET] = "GET",     [HTTP_HEAD] = "HEAD",     [HTTP_POST] = "POST",       [HTTP_PUT] = "PUT",
    [HTTP_PATCH] = "PATCH", [HTTP_DELETE] = "DELETE", [HTTP_OPTIONS] = "OPTIONS",
};

/* Copies, since libmicrohttpd's strings end with the connection, which an exchange may outlive. */
void exchange_take_request(struct http_exchange *x, const char *method)
{
    struct header_copy c = {.x = x};

    x->method = HTTP_OTHER;
    for (unsigned i = 0; i < ARRAY_SIZE(methods); i++)
        if (strcmp(method, methods[i]) == 0)
            x->method = (enum http_method)i;
    x->method_name = x->method == HTTP_OTHER ? arena_strdup(x->arena, method) : methods[x->method];

    MHD_get_connection_values_n(x->connection, MHD_HEADER_KIND, measure_header, &c);
    char *block = arena_alloc(x->arena, c.n * sizeof(*x->headers) + c.bytes);
    x->headers = (struct exchange_header *)(void *)block;
    c.at = block + c.n * sizeof(*x->headers);
    MHD_get_connection_values_n(x->connection, MHD_HEADER_KIND, copy_header, &c);
}

enum http_role http_role(const struct http_exchange *x)
{
    return x->server->options.role;
}

enum http_method http_method(const struct http_exchange *x)
{
    return x->method;
}

const char *http_method_name(const struct http_exchange *x)
{
    return x->method_name;
}

struct str http_path(const struct http_exchange *x)
{
    return x->path;
}

static void parse_query(struct http_exchange *x)
{
    struct str rest = x->query;
    struct query_parameter p;
    size_t n = 1;

    for (size_t i = 0; i < rest.n; i++)
        n += rest.p[i] == '&';
    x->parameters = arena_alloc(x->arena, n * sizeof(*x->parameters));
    while (query_next(&rest, x->arena, &p))
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
    for (size_t i = 0; i < x->headers_len; i++)
        if (strcasecmp(x->headers[i].name, name) == 0)
            return x->headers[i].value;
    return NULL;
}

struct str http_body(const struct http_exchange *x)
{
    return buffer_str(&x->body);
}

struct arena *http_arena(struct http_exchange *x)
{
    return x->arena;
}

/* --- The answer --- */

void http_add_header(struct http_exchange *x, const char *name, const char *value)
{
    struct exchange_answer_header *h = arena_alloc(x->arena, sizeof(*h)), **end = &x->answer_headers;

    *h = (struct exchange_answer_header){NULL, arena_strdup(x->arena, name), arena_strdup(x->arena, value)};
    while (*end)
        end = &(*end)->next;
    *end = h;
}

static void add(struct MHD_Response *response, const char *name, const char *value)
{
    /* Refused are values with line breaks: nobody smuggles a header in through a value. */
    if (MHD_add_response_header(response, name, value) != MHD_YES)
        log_error("header %s cannot be sent: not a valid value", name);
}

void exchange_fill_headers(struct http_exchange *x, struct MHD_Response *response, const char *content_type)
{
    if (content_type)
        add(response, MHD_HTTP_HEADER_CONTENT_TYPE, content_type);
    for (struct exchange_answer_header *h = x->answer_headers; h; h = h->next)
        add(response, h->name, h->value);
    if (atomic_load(&x->server->stopping))
        exchange_close_after(x, response);
}

void exchange_close_after(struct http_exchange *x, struct MHD_Response *response)
{
    if (MHD_get_response_header(response, MHD_HTTP_HEADER_CONNECTION) == NULL)
        add(response, MHD_HTTP_HEADER_CONNECTION, "close");
}

void exchange_answer(struct http_exchange *x, unsigned status, struct MHD_Response *response)
{
    pthread_mutex_t *lock = exchange_lock(x);

    pthread_mutex_lock(lock);
    if (x->state == HANDLING || x->state == WAITING) {
        bool waiting = x->state == WAITING;
        x->status = status;
        x->response = response;
        x->state = ANSWERED;
        response = NULL;
        if (waiting)
            MHD_resume_connection(x->connection);
    } else if (x->state != ABANDONED) {
        log_error("a request was answered twice");
        abort();
    }
    pthread_mutex_unlock(lock);
    if (response)
        MHD_destroy_response(response);
    exchange_unref(x);
}

void http_reply(struct http_exchange *x, unsigned status, const char *content_type, struct str body)
{
    struct MHD_Response *response =
        MHD_create_response_from_buffer(body.n, (void *)(uintptr_t)body.p, MHD_RESPMEM_MUST_COPY);
    if (response == NULL)
        abort();
    exchange_fill_headers(x, response, content_type);
    exchange_answer(x, status, response);
}

void http_reply_shared(struct http_exchange *x, unsigned status, const char *content_type, struct str body, void *owner,
                       void (*release)(void *owner))
{
    struct MHD_Response *response =
        MHD_create_response_from_buffer_with_free_callback_cls(body.n, (void *)(uintptr_t)body.p, release, owner);
    if (response == NULL)
        abort();
    exchange_fill_headers(x, response, content_type);
    exchange_answer(x, status, response);
}

struct MHD_Response *exchange_status_response(enum reason reason, const char *message)
{
    _cleanup_buffer_ struct buffer b = BUFFER_MAX(4096);

    buffer_puts(&b, "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{},\"status\":\"Failure\",\"message\":");
    buffer_json_string(&b, str_from(message));
    buffer_printf(&b, ",\"reason\":\"%s\",\"code\":%u}\n", reason_name(reason), reason_code(reason));
    struct MHD_Response *response = MHD_create_response_from_buffer(b.n, b.p, MHD_RESPMEM_MUST_COPY);
    if (response == NULL)
        abort();
    add(response, MHD_HTTP_HEADER_CONTENT_TYPE, "application/json");
    return response;
}

enum MHD_Result exchange_queue(struct http_exchange *x, unsigned status, struct MHD_Response *response)
{
    enum MHD_Result ok = MHD_queue_response(x->connection, status, response);
    MHD_destroy_response(response);
    return ok;
}

enum MHD_Result exchange_refuse(struct http_exchange *x, enum reason reason, const char *message)
{
    x->state = ANSWERED;
    return exchange_queue(x, reason_code(reason), exchange_status_response(reason, message));
}

/* --- Sleeping --- */

void http_on_gone(struct http_exchange *x, void (*gone)(void *arg), void *arg)
{
    LOCK_SCOPE(exchange_lock(x));
    x->gone = gone;
    x->gone_arg = arg;
}

void exchange_wait(struct http_exchange *x)
{
    x->state = WAITING;
    MHD_suspend_connection(x->connection);
}

void exchange_abandon(struct http_exchange *x, unsigned status, struct MHD_Response *answer)
{
    x->state = ABANDONED;
    x->status = status;
    x->response = answer;
    MHD_resume_connection(x->connection);
    if (x->gone)
        x->gone(x->gone_arg);
}
