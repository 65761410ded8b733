#include "unit/http/client.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/io.h"

#define LIMIT ((size_t)64 * 1024 * 1024)

struct http_options default_options(void)
{
    return (struct http_options){
        .role = HTTP_GATEWAY, .peer_uid = (uid_t)-1, .max_connections = 100, .max_body = 1 << 20, .idle_seconds = 60};
}

void fixture_start(struct fixture *f, const struct http_options *options, http_handler *handler, void *arg)
{
    _cleanup_error_ struct error *err = NULL;
    struct http_options o = *options;

    snprintf(f->directory, sizeof(f->directory), "/tmp/http-test-XXXXXX");
    assert_non_null(mkdtemp(f->directory));
    snprintf(f->path, sizeof(f->path), "%s/s", f->directory);
    f->listen_fd = listen_unix(f->path, 0666, &err);
    assert_true(f->listen_fd >= 0);
    o.listen_fd = f->listen_fd;
    f->server = http_server_start(&o, handler, arg, &err);
    assert_non_null(f->server);
}

void fixture_stop(struct fixture *f)
{
    http_server_stop(f->server);
    f->server = NULL;
}

void fixture_cleanup(struct fixture *f)
{
    fixture_stop(f);
    close(f->listen_fd);
    unlink(f->path);
    rmdir(f->directory);
}

int client_connect(const struct fixture *f)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    /* So that a defect shows as a failed test, not as one that hangs. */
    struct timeval patience = {.tv_sec = 30};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    snprintf(address.sun_path, sizeof(address.sun_path), "%s", f->path);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
    return fd;
}

void client_send(int fd, const char *text)
{
    size_t n = strlen(text), at = 0;

    while (at < n) {
        ssize_t sent = send(fd, text + at, n - at, MSG_NOSIGNAL);
        assert_true(sent > 0);
        at += (size_t)sent;
    }
}

/* Returns false at the end. A reset counts as one: the server closed with something of ours unread. */
static bool read_some(int fd, struct buffer *b)
{
    char piece[16384];
    ssize_t n = recv(fd, piece, sizeof(piece), 0);

    if (n < 0)
        assert_int_equal(errno, ECONNRESET);
    if (n <= 0)
        return false;
    if (b->max == 0)
        b->max = LIMIT;
    buffer_append(b, piece, (size_t)n);
    return true;
}

void client_read_until(int fd, struct buffer *b, const char *text)
{
    while (b->p == NULL || memmem(b->p, b->n, text, strlen(text)) == NULL)
        if (!read_some(fd, b))
            fail_msg("the connection ended before '%s' came: %s", text, b->p ? b->p : "");
}

void client_read_all(int fd, struct buffer *b)
{
    while (read_some(fd, b))
        ;
}

void client_read_response(int fd, struct buffer *b, bool head)
{
    client_read_until(fd, b, "\r\n\r\n");
    size_t body = (size_t)(strstr(b->p, "\r\n\r\n") + 4 - b->p);
    const char *length = strcasestr(b->p, "content-length:");

    if (head)
        return;
    if (length == NULL || length > b->p + body) {
        client_read_until(fd, b, "0\r\n\r\n");
        return;
    }
    size_t n = strtoul(length + 15, NULL, 10);
    while (b->n < body + n)
        assert_true(read_some(fd, b));
}

char *client_request(const struct fixture *f, const char *text)
{
    struct buffer b = {0};
    int fd = client_connect(f);

    client_send(fd, text);
    client_read_response(fd, &b, starts_with(text, "HEAD"));
    close(fd);
    return buffer_steal(&b);
}
