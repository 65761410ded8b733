#include "http/reader.h"

#include <llhttp.h>
#include <stdlib.h>
#include <strings.h>

#include "base/alloc.h"

/* More than any client sends: the rest is an attack on whoever looks for one of them. */
#define MAX_HEADERS 256

/* --- The head --- */

struct field {
    struct str name, value;
};

/* What llhttp says of a head that lies whole in one piece of memory. */
struct parsed_head {
    struct str target;
    struct field fields[MAX_HEADERS];
    size_t n, max;
    bool complete;
};

/* llhttp may say a string in several pieces, one behind the other. */
static void extend_str(struct str *s, const char *at, size_t n)
{
    if (s->p == NULL)
        s->p = at;
    s->n = (size_t)(at + n - s->p);
}

static int on_target(llhttp_t *parser, const char *at, size_t n)
{
    struct reader *r = parser->data;

    extend_str(&r->parsed->target, at, n);
    return 0;
}

/* Fields behind the last chunk are refused, as extensions of chunks are: nobody sends them, and readers differ. */
static int on_header_name(llhttp_t *parser, const char *at, size_t n)
{
    struct parsed_head *h = ((struct reader *)parser->data)->parsed;

    if (h == NULL || h->n == h->max)
        return HPE_USER;
    extend_str(&h->fields[h->n].name, at, n);
    return 0;
}

static int on_header_value(llhttp_t *parser, const char *at, size_t n)
{
    struct parsed_head *h = ((struct reader *)parser->data)->parsed;

    extend_str(&h->fields[h->n].value, at, n);
    return 0;
}

static int on_header_complete(llhttp_t *parser)
{
    ((struct reader *)parser->data)->parsed->n++;
    return 0;
}

static int on_head_complete(llhttp_t *parser)
{
    ((struct reader *)parser->data)->parsed->complete = true;
    /* We speak nothing else, and an offer may be left alone (RFC 9110 §7.8). */
    parser->upgrade = 0;
    return HPE_PAUSED;
}

static int refuse_extension(llhttp_t *parser, const char *at, size_t n)
{
    return HPE_USER;
}

static int on_body_piece(llhttp_t *parser, const char *at, size_t n)
{
    ((struct reader *)parser->data)->piece = (struct str){at, n};
    return n ? HPE_PAUSED : 0;
}

static int on_body_end(llhttp_t *parser)
{
    ((struct reader *)parser->data)->body_ended = true;
    return HPE_PAUSED;
}

static const llhttp_settings_t settings = {
    .on_url = on_target,
    .on_header_field = on_header_name,
    .on_header_value = on_header_value,
    .on_header_value_complete = on_header_complete,
    .on_headers_complete = on_head_complete,
    .on_chunk_extension_name = refuse_extension,
    .on_body = on_body_piece,
    .on_message_complete = on_body_end,
};

/* "GET /path HTTP/1.1\r\n", one blank each: llhttp takes more of them, and other protocols. */
static bool is_plain_request_line(const struct parsed_head *h, const char *text, const char *method)
{
    if (h->target.n == 0)
        return false;
    const char *after = h->target.p + h->target.n;
    return h->target.p[0] == '/' && h->target.p == text + strlen(method) + 1 &&
           memchr(h->target.p, '#', h->target.n) == NULL && starts_with(after, " HTTP/1.") && after[9] == '\r';
}

static size_t count_headers(const struct request *q, const char *name)
{
    size_t n = 0;

    for (size_t i = 0; i < q->headers_len; i++)
        n += strcasecmp(q->headers[i].name, name) == 0;
    return n;
}

/* Who is meant, and where the body ends, is said once and in one way. */
static bool is_unambiguous(const struct request *q)
{
    const char *encoding = request_find_header(q, "Transfer-Encoding");
    size_t hosts = count_headers(q, "Host");

    if (hosts > 1 || (hosts == 0 && !q->is_old))
        return false;
    if (encoding == NULL)
        return count_headers(q, "Content-Length") <= 1;
    return !q->is_old && strcasecmp(encoding, "chunked") == 0 && count_headers(q, "Transfer-Encoding") == 1 &&
           count_headers(q, "Content-Length") == 0;
}

/* Behind a name is a colon, behind a value the end of its line: there is room for a NUL. (Where llhttp says that nothing
 * is, may be in the next line.) */
static const char *terminate(struct str s)
{
    if (s.n == 0)
        return "";
    char *p = (char *)(uintptr_t)s.p;
    p[s.n] = '\0';
    return p;
}

static void take_headers(struct request *q, const struct parsed_head *h)
{
    q->headers = arena_alloc(q->arena, h->n * sizeof(*q->headers));
    q->headers_len = h->n;
    for (size_t i = 0; i < h->n; i++)
        q->headers[i] = (struct request_header){terminate(h->fields[i].name), terminate(str_trim(h->fields[i].value))};
}

/* Capital letters and a blank: it may be a method all the same. */
static bool begins_with_word(const char *text)
{
    size_t n = strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZ");
    return n && text[n] == ' ';
}

static enum reading parse_head(struct reader *r, llhttp_t *parser, struct request *q, const char *text, size_t n)
{
    struct parsed_head h;

    /* Of the table, no more than is needed. */
    h.max = r->lines - 1;
    memset(h.fields, 0, h.max * sizeof(h.fields[0]));
    h.target = (struct str){0};
    h.n = 0;
    h.complete = false;
    llhttp_init(parser, HTTP_REQUEST, &settings);
    parser->data = r;
    r->parsed = &h;
    llhttp_errno_t rc = llhttp_execute(parser, text, n);
    r->parsed = NULL;
    if (rc == HPE_INVALID_METHOD && begins_with_word(text))
        return READING_NO_METHOD;
    if (rc != HPE_PAUSED || !h.complete || llhttp_get_error_pos(parser) != text + n)
        return READING_BAD;
    q->method = llhttp_method_name(llhttp_get_method(parser));
    if (!is_plain_request_line(&h, text, q->method))
        return READING_BAD;
    q->target = h.target;
    q->is_old = llhttp_get_http_minor(parser) == 0;
    q->keep_alive = llhttp_should_keep_alive(parser);
    q->length = parser->content_length;
    take_headers(q, &h);
    terminate(q->target);
    const char *expect = request_find_header(q, "Expect");
    q->expects_continue = expect && strcasecmp(expect, "100-continue") == 0 && !q->is_old;
    q->has_body = q->length > 0 || request_find_header(q, "Transfer-Encoding");
    return is_unambiguous(q) ? READING_HEAD : READING_BAD;
}

const char *request_find_header(const struct request *q, const char *name)
{
    for (size_t i = 0; i < q->headers_len; i++)
        if (ascii_tolower(*q->headers[i].name) == ascii_tolower(*name) && strcasecmp(q->headers[i].name, name) == 0)
            return q->headers[i].value;
    return NULL;
}

void request_free(struct request *q)
{
    arena_free(steal_ptr(q->arena));
}

/* --- Where the head ends --- */

/* Looks at lines that are whole by now. `at`: behind the empty line where it is there. */
static enum reading find_head_end(struct reader *r, const char *p, size_t n, size_t *at)
{
    const char *end;

    while ((end = memchr(p + r->head_seen, '\n', n - r->head_seen))) {
        size_t begin = r->line_begin;

        r->head_seen = r->line_begin = (size_t)(end - p) + 1;
        if (end == p + begin || end[-1] != '\r')
            return READING_BAD;
        if (end - 1 == p + begin) {
            *at = r->head_seen;
            return begin ? READING_HEAD : READING_BAD;
        }
        /* The first one is no header. */
        if (r->lines++ > MAX_HEADERS)
            return READING_TOO_LARGE;
    }
    r->head_seen = n;
    return n >= r->head_max ? READING_TOO_LARGE : READING_MORE;
}

static void forget_head(struct reader *r)
{
    buffer_free(&r->head);
    r->head_seen = r->line_begin = r->lines = 0;
}

static enum reading use_head(struct reader *r, const char *p, size_t n)
{
    struct request q = {.arena = arena_new()};
    llhttp_t parser;
    enum reading found = parse_head(r, &parser, &q, arena_strndup(q.arena, p, n), n);

    forget_head(r);
    if (found != READING_HEAD) {
        request_free(&q);
        return found;
    }
    r->request = q;
    if (q.has_body) {
        r->parser = xmalloc(sizeof(parser));
        *r->parser = parser;
    }
    return READING_HEAD;
}

static enum reading read_head(struct reader *r, struct str *input)
{
    size_t before = r->head.n, more = input->n < r->head_max - before ? input->n : r->head_max - before, end = 0;
    const char *p = input->p;

    if (before) {
        buffer_append(&r->head, input->p, more);
        p = r->head.p;
    }
    enum reading found = find_head_end(r, p, before + more, &end);
    if (found == READING_MORE && before == 0)
        buffer_append(&r->head, input->p, more);
    size_t used = found == READING_HEAD ? end - before : more;
    *input = (struct str){input->p + used, input->n - used};
    return found == READING_HEAD ? use_head(r, p, end) : found;
}

/* --- The body --- */

static enum reading read_body(struct reader *r, struct str *input)
{
    r->piece = (struct str){0};
    r->body_ended = false;
    llhttp_resume(r->parser);
    /* Of no bytes too: it may have an end to say. */
    llhttp_errno_t rc = llhttp_execute(r->parser, input->p, input->n);
    const char *end = input->p + input->n, *at = rc == HPE_PAUSED ? llhttp_get_error_pos(r->parser) : end;
    if (rc != HPE_OK && rc != HPE_PAUSED)
        return READING_BAD;
    *input = (struct str){at, (size_t)(end - at)};
    if (r->piece.n)
        return READING_PIECE;
    if (!r->body_ended)
        return READING_MORE;
    free(steal_ptr(r->parser));
    return READING_END;
}

void reader_init(struct reader *r, size_t head_max)
{
    *r = (struct reader){.head_max = head_max, .head = BUFFER_MAX(head_max)};
}

void reader_free(struct reader *r)
{
    buffer_free(&r->head);
    free(steal_ptr(r->parser));
    request_free(&r->request);
}

enum reading reader_next(struct reader *r, struct str *input)
{
    if (r->parser)
        return read_body(r, input);
    return input->n ? read_head(r, input) : READING_MORE;
}
