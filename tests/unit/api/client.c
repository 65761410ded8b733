#include "unit/api/client.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/io.h"

/* HTTP/1.0: the body ends with the connection, so that no chunks need decoding. */

static int open_connection(struct fixture *f)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct timeval patience = {.tv_sec = 30};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    snprintf(address.sun_path, sizeof(address.sun_path), "%s", f->socket);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    return fd;
}

static void send_call(int fd, const struct call *c)
{
    _cleanup_buffer_ struct buffer b = BUFFER_MAX((size_t)16 << 20);
    struct error *err = NULL;

    buffer_printf(&b, "%s %s HTTP/1.0\r\nHost: test\r\n", c->method ? c->method : "GET", c->path);
    if (c->accept)
        buffer_printf(&b, "Accept: %s\r\n", c->accept);
    if (c->user)
        buffer_printf(&b, "X-User: %s\r\n", c->user);
    buffer_printf(&b, "X-Role: %d\r\n", c->role == 0 ? 1 : c->role < 0 ? 0 : c->role);
    if (c->body) {
        if (!c->type || c->type[0])
            buffer_printf(&b, "Content-Type: %s\r\n", c->type ? c->type : "application/json");
        buffer_printf(&b, "Content-Length: %zu\r\n", strlen(c->body));
    }
    buffer_printf(&b, "\r\n%s", c->body ? c->body : "");
    if (write_all(fd, b.p, b.n, &err) < 0)
        fail_msg("%s", err->message);
}

/* Reads up to and with the empty line; what follows it begins `rest`. */
static void read_head(int fd, struct buffer *head, struct buffer *rest)
{
    char piece[4096];
    char *end;

    while (!head->p || !(end = strstr(head->p, "\r\n\r\n"))) {
        ssize_t n = read(fd, piece, sizeof(piece));
        if (n <= 0)
            fail_msg("no answer: %s", n < 0 ? strerror(errno) : "closed");
        buffer_append(head, piece, (size_t)n);
    }
    size_t length = (size_t)(end + 4 - head->p);
    buffer_append(rest, head->p + length, head->n - length);
    head->n = length;
    head->p[length] = '\0';
}

static struct answer last;

const char *answer_str(const struct answer *a, const char *path)
{
    const char *s = json_str_at(yyjson_doc_get_root(a->doc), path);
    return s ? s : "(absent)";
}

int64_t answer_int(const struct answer *a, const char *path)
{
    return json_int_at(yyjson_doc_get_root(a->doc), path, -1);
}

bool answer_has(const struct answer *a, const char *text)
{
    return a->body.n && strstr(a->body.p, text);
}

bool answer_has_header(const struct answer *a, const char *text)
{
    return strcasestr(a->headers.p, text) != NULL;
}

uint64_t answer_revision(const struct answer *a)
{
    return strtoull(answer_str(a, "metadata.resourceVersion"), NULL, 10);
}

struct answer *expect(long code, struct answer *a)
{
    if (a->code != code)
        fail_msg("expected %ld, got %ld: %s", code, a->code, a->body.p);
    return a;
}

struct watching {
    int fd;
    struct buffer head, text;
    size_t at;
    char shown[256];
};

struct watching *send_alone(struct fixture *f, const struct call *c)
{
    struct watching *w = xcalloc(1, sizeof(*w));

    w->head = BUFFER_MAX((size_t)1 << 20);
    w->text = BUFFER_MAX((size_t)64 << 20);
    w->fd = open_connection(f);
    send_call(w->fd, c);
    return w;
}

struct watching *watch_open(struct fixture *f, const struct call *c)
{
    struct watching *w = send_alone(f, c);

    read_head(w->fd, &w->head, &w->text);
    assert_non_null(strstr(w->head.p, " 200 "));
    return w;
}

bool is_answered(const struct watching *w)
{
    char c;

    return recv(w->fd, &c, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

struct answer *answer_of(struct watching *w)
{
    char piece[65536];
    ssize_t n;

    buffer_free(&last.headers);
    buffer_free(&last.body);
    yyjson_doc_free(last.doc);
    last = (struct answer){.headers = BUFFER_MAX((size_t)1 << 20), .body = BUFFER_MAX((size_t)64 << 20)};
    read_head(w->fd, &last.headers, &last.body);
    while ((n = read(w->fd, piece, sizeof(piece))) > 0)
        buffer_append(&last.body, piece, (size_t)n);
    watch_free(w);
    last.code = strtol(last.headers.p + strlen("HTTP/1.1 "), NULL, 10);
    last.doc = json_parse(buffer_str(&last.body), NULL);
    return &last;
}

struct answer *call(struct fixture *f, const struct call *c)
{
    return answer_of(send_alone(f, c));
}

yyjson_doc *watch_next(struct watching *w)
{
    char piece[4096];
    const char *end;

    while (w->text.n == w->at || !(end = memchr(w->text.p + w->at, '\n', w->text.n - w->at))) {
        ssize_t n = read(w->fd, piece, sizeof(piece));
        if (n < 0)
            fail_msg("waited in vain: %s", strerror(errno));
        if (n == 0) {
            assert_int_equal(w->at, w->text.n);
            return NULL;
        }
        buffer_append(&w->text, piece, (size_t)n);
    }
    struct str line = {w->text.p + w->at, (size_t)(end - w->text.p) - w->at};
    w->at += line.n + 1;
    struct error *err = NULL;
    yyjson_doc *doc = json_parse(line, &err);
    if (doc == NULL)
        fail_msg("%s: %.*s", err->message, (int)line.n, line.p);
    return doc;
}

const char *watch_next_text(struct watching *w)
{
    _cleanup_json_ yyjson_doc *doc = watch_next(w);
    yyjson_val *root = yyjson_doc_get_root(doc);

    if (doc == NULL)
        return "END";
    const char *type = json_str_at(root, "type"), *name = json_str_at(root, "object.metadata.name");
    snprintf(w->shown, sizeof(w->shown), "%s %s", type, name ? name : "");
    return w->shown;
}

void watch_free(struct watching *w)
{
    close(w->fd);
    buffer_free(&w->head);
    buffer_free(&w->text);
    free(w);
}
