/*
 * Many watches on a unix socket, then one event: until when have all of them got it?
 *
 *   watchers SOCKET COUNT ROUNDS WATCH-PATH CREATE-PATH BODY ['Header: value']…
 *
 * Prints «connected» when every watch has its status line, and waits for a line on standard input (so that others may
 * look at the server meanwhile). Then, in each round, creates an object («%N» in BODY becomes the round's number) and
 * prints one JSON object: microseconds until the answer to the create, the first watcher, the last one.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "base/clock.h"
#include "base/str.h"

#define WAIT_MS 60000

struct watcher {
    int fd;
    bool connected;
    long lines;  /* line feeds within chunks' bodies: an event is one line of JSON, ended by "}\n" */
    char before; /* the last byte seen */
};

static struct sockaddr_un address = {.sun_family = AF_UNIX};
static const char *headers;
static int epoll;
static struct watcher *watchers;
static long count;

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static int dial(void)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        fail("socket");
    if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
        fail("connect");
    return fd;
}

static void request(int fd, const char *method, const char *path, struct str body)
{
    _cleanup_buffer_ struct buffer b = BUFFER_MAX(65536);

    buffer_printf(&b, "%s %s HTTP/1.1\r\nHost: localhost\r\n%s", method, path, headers);
    if (body.n)
        buffer_printf(&b, "Content-Type: application/json\r\nContent-Length: %zu\r\n", body.n);
    buffer_puts(&b, "\r\n");
    if (body.n)
        buffer_append(&b, body.p, body.n);
    if (send(fd, b.p, b.n, MSG_NOSIGNAL) != (ssize_t)b.n)
        fail("send");
}

/* How many events a watcher got with these bytes. */
static long take(struct watcher *w, const char *p, size_t n)
{
    long found = 0;

    for (size_t i = 0; i < n; i++) {
        char before = i ? p[i - 1] : w->before;
        found += p[i] == '\n' && before == '}';
    }
    w->before = n ? p[n - 1] : w->before;
    return found;
}

static bool receive(struct watcher *w, long *events)
{
    static char text[65536];
    ssize_t n = recv(w->fd, text, sizeof(text), MSG_DONTWAIT);

    if (n < 0 && errno == EAGAIN)
        return false;
    if (n <= 0) {
        fprintf(stderr, "watchers: a watch ended early\n");
        exit(1);
    }
    bool first = !w->connected;
    if (first && (n < 12 || memcmp(text, "HTTP/1.1 200", 12) != 0)) {
        fprintf(stderr, "watchers: %.*s\n", (int)n, text);
        exit(1);
    }
    w->connected = true;
    *events += take(w, text, (size_t)n);
    return first;
}

static void pump(long *connected, long *reached, int64_t *first_us)
{
    struct epoll_event events[512];
    int n = epoll_wait(epoll, events, ARRAY_SIZE(events), WAIT_MS);

    if (n <= 0) {
        fprintf(stderr, "watchers: nothing came within %d s\n", WAIT_MS / 1000);
        exit(1);
    }
    for (int i = 0; i < n; i++) {
        long got = 0;
        *connected += receive(events[i].data.ptr, &got);
        if (got && *reached == 0)
            *first_us = clock_monotonic_us();
        *reached += got;
    }
}

static void open_all(const char *path)
{
    long connected = 0, reached = 0;
    int64_t ignored;

    for (long i = 0; i < count; i++) {
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = &watchers[i]};
        watchers[i].fd = dial();
        request(watchers[i].fd, "GET", path, STR(""));
        if (epoll_ctl(epoll, EPOLL_CTL_ADD, watchers[i].fd, &event) < 0)
            fail("epoll_ctl");
        /* A few hundred at a time, as fast as they are answered. */
        while (i - connected > 256)
            pump(&connected, &reached, &ignored);
    }
    while (connected < count)
        pump(&connected, &reached, &ignored);
}

static void numbered(struct buffer *b, const char *text, long number)
{
    const char *at = strstr(text, "%N");

    buffer_append(b, text, at ? (size_t)(at - text) : strlen(text));
    if (at) {
        buffer_printf(b, "%ld", number);
        buffer_puts(b, at + 2);
    }
}

static void round_of(int fd, const char *path, const char *body, long number)
{
    _cleanup_buffer_ struct buffer b = BUFFER_MAX(65536);
    char answer[65536];
    long connected = 0, reached = 0;
    int64_t first_us = 0;

    numbered(&b, body, number);
    int64_t start = clock_monotonic_us();
    request(fd, "POST", path, buffer_str(&b));
    ssize_t n = recv(fd, answer, sizeof(answer), 0);
    int64_t created = clock_monotonic_us();
    if (n < 12 || memcmp(answer, "HTTP/1.1 201", 12) != 0) {
        fprintf(stderr, "watchers: the create was answered: %.*s\n", (int)(n > 0 ? n : 0), answer);
        exit(1);
    }
    while (reached < count)
        pump(&connected, &reached, &first_us);
    printf("{\"created_us\": %lld, \"first_us\": %lld, \"all_us\": %lld}\n", (long long)(created - start),
           (long long)(first_us - start), (long long)(clock_monotonic_us() - start));
    fflush(stdout);
}

static void wait_for_line(void)
{
    int c;

    while ((c = getchar()) != EOF && c != '\n')
        ;
}

int main(int argc, char **argv)
{
    struct rlimit limit;
    _cleanup_buffer_ struct buffer b = BUFFER_MAX(65536);

    if (argc < 7) {
        fprintf(stderr, "usage: watchers SOCKET COUNT ROUNDS WATCH-PATH CREATE-PATH BODY [HEADER…]\n");
        return 2;
    }
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", argv[1]);
    count = strtol(argv[2], NULL, 10);
    for (int i = 7; i < argc; i++)
        buffer_printf(&b, "%s\r\n", argv[i]);
    headers = b.n ? b.p : "";
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    epoll = epoll_create1(EPOLL_CLOEXEC);
    watchers = xcalloc((size_t)count, sizeof(*watchers));

    int64_t start = clock_monotonic_us();
    open_all(argv[4]);
    printf("connected %lld\n", (long long)(clock_monotonic_us() - start));
    fflush(stdout);
    wait_for_line();
    int fd = dial();
    for (long i = 0; i < strtol(argv[3], NULL, 10); i++)
        round_of(fd, argv[5], argv[6], i);
    /* Until somebody has looked. */
    wait_for_line();
    return 0;
}
