/*
 * HTTP load from one thread, over a unix socket or TCP: every connection sends its next request when it has the answer
 * to the last. What wrk is for TCP; it cannot speak to unix sockets, and makes no new body for each request.
 *
 *   hammer (--unix PATH | --tcp HOST:PORT) [--connections N] [--seconds S | --requests N] [--method M] [--path P]
 *          [--header 'Name: value']… [--body TEXT | --body-bytes N] [--first N] [--modulo N] [--expect CODE]
 *
 * «%N» in path and body becomes the request's number, from --first on. Prints one JSON object.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
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

#define REQUEST_MAX ((size_t)16 << 20)
#define HEAD_MAX 16384
#define SCRATCH ((size_t)1 << 20)
#define STALLED_MS 20000

struct options {
    struct sockaddr_storage address;
    socklen_t address_n;
    const char *method, *path, *host;
    struct buffer headers, body;
    long connections, requests, first, modulo;
    int64_t run_us;
    int expect;
    bool numbered;
};

enum framing { UNTIL_LENGTH, CHUNKED };

struct connection {
    int fd;
    bool connected_before, waits_for_room;
    struct buffer request;
    size_t sent;
    char head[HEAD_MAX]; /* the answer's */
    size_t head_n;
    bool in_body, closes;
    enum framing framing;
    uint64_t left; /* of the body */
    char last[5];  /* of a chunked one */
    int status;
    int64_t started_us;
};

struct load {
    struct options o;
    int epoll;
    struct connection *connections;
    long active, begun;
    int64_t until_us;
    uint64_t answers, failed, bytes;
    uint32_t *latencies;
    size_t latencies_n, latencies_capacity;
    int first_wrong; /* status */
    char scratch[SCRATCH];
};

static void die(const char *what)
{
    perror(what);
    exit(1);
}

/* --- Requests --- */

static void append_numbered(struct buffer *b, struct str text, long number)
{
    const char *at;

    while ((at = memmem(text.p, text.n, "%N", 2))) {
        size_t before = (size_t)(at - text.p);
        buffer_append(b, text.p, before);
        buffer_printf(b, "%ld", number);
        text = (struct str){at + 2, text.n - before - 2};
    }
    buffer_append(b, text.p, text.n);
}

static size_t numbered_length(struct str text, long number)
{
    struct buffer b = BUFFER_MAX(REQUEST_MAX);

    append_numbered(&b, text, number);
    size_t n = b.n;
    buffer_free(&b);
    return n;
}

static void make_request(const struct options *o, struct buffer *b, long number)
{
    struct str body = buffer_str(&o->body);

    buffer_clear(b);
    buffer_printf(b, "%s ", o->method);
    append_numbered(b, str_from(o->path), number);
    buffer_printf(b, " HTTP/1.1\r\nHost: %s\r\n", o->host);
    buffer_append(b, o->headers.p, o->headers.n);
    if (body.n)
        buffer_printf(b, "Content-Length: %zu\r\n", o->numbered ? numbered_length(body, number) : body.n);
    buffer_puts(b, "\r\n");
    if (body.n && o->numbered)
        append_numbered(b, body, number);
    else if (body.n)
        buffer_append(b, body.p, body.n);
}

/* --- Connections --- */

static bool may_begin(struct load *l)
{
    return l->o.requests ? l->begun < l->o.requests : clock_monotonic_us() < l->until_us;
}

static void wait_for(struct load *l, struct connection *c, bool room)
{
    struct epoll_event event = {.events = EPOLLIN | (room ? EPOLLOUT : 0), .data.ptr = c};

    if (c->waits_for_room == room)
        return;
    c->waits_for_room = room;
    epoll_ctl(l->epoll, EPOLL_CTL_MOD, c->fd, &event);
}

static void open_connection(struct load *l, struct connection *c)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};

    c->fd = socket(l->o.address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (c->fd < 0)
        die("socket");
    /* Blocks where the server's queue is full. */
    if (connect(c->fd, (struct sockaddr *)&l->o.address, l->o.address_n) < 0)
        die("connect");
    c->waits_for_room = false;
    if (epoll_ctl(l->epoll, EPOLL_CTL_ADD, c->fd, &event) < 0)
        die("epoll_ctl");
}

static void send_more(struct load *l, struct connection *c)
{
    while (c->sent < c->request.n) {
        ssize_t n = send(c->fd, c->request.p + c->sent, c->request.n - c->sent, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno == EAGAIN)
            return wait_for(l, c, true);
        if (n < 0)
            break; /* the reading side sees the end */
        c->sent += (size_t)n;
    }
    wait_for(l, c, false);
}

static void begin(struct load *l, struct connection *c)
{
    if (!may_begin(l)) {
        close(c->fd);
        c->fd = -1;
        l->active--;
        return;
    }
    long number = l->o.first + (l->o.modulo ? l->begun % l->o.modulo : l->begun);
    l->begun++;
    if (l->o.numbered || c->request.n == 0)
        make_request(&l->o, &c->request, number);
    c->sent = c->head_n = 0;
    c->in_body = false;
    c->started_us = clock_monotonic_us();
    send_more(l, c);
}

static void reopen(struct load *l, struct connection *c)
{
    close(c->fd);
    open_connection(l, c);
}

/* --- Answers --- */

static void finish(struct load *l, struct connection *c)
{
    if (l->latencies_n == l->latencies_capacity) {
        l->latencies_capacity = l->latencies_capacity ? 2 * l->latencies_capacity : 65536;
        l->latencies = xreallocarray(l->latencies, l->latencies_capacity, sizeof(*l->latencies));
    }
    l->latencies[l->latencies_n++] = (uint32_t)(clock_monotonic_us() - c->started_us);
    if (c->status == l->o.expect) {
        l->answers++;
    } else {
        l->failed++;
        l->first_wrong = l->first_wrong ? l->first_wrong : c->status;
    }
    if (c->closes)
        reopen(l, c);
    begin(l, c);
}

static struct str header(struct str head, const char *name)
{
    struct str line;

    while (str_split(&head, '\n', &line)) {
        const char *colon = line.n ? memchr(line.p, ':', line.n) : NULL;
        if (colon && (size_t)(colon - line.p) == strlen(name) && strncasecmp(line.p, name, strlen(name)) == 0)
            return str_trim((struct str){colon + 1, line.n - strlen(name) - 1});
    }
    return STR("");
}

static void read_head(struct connection *c, size_t n)
{
    struct str head = {c->head, n};
    unsigned long long length = 0;

    c->status = n > 12 ? (c->head[9] - '0') * 100 + (c->head[10] - '0') * 10 + (c->head[11] - '0') : 0;
    struct str connection = header(head, "Connection"), encoding = header(head, "Transfer-Encoding");
    c->closes = str_is(connection, "close");
    c->framing = encoding.n ? CHUNKED : UNTIL_LENGTH;
    struct str text = header(head, "Content-Length");
    c->left = text.n && str_to_u64(text, UINT64_MAX, &length) == 0 ? length : 0;
    memset(c->last, 0, sizeof(c->last));
    c->in_body = true;
}

/* Returns whether the body is complete. One request at a time: nothing follows the end. */
static bool take_body(struct connection *c, const char *p, size_t n)
{
    if (c->framing == UNTIL_LENGTH) {
        c->left -= n < c->left ? n : c->left;
        return c->left == 0;
    }
    size_t keep = n < sizeof(c->last) ? n : sizeof(c->last);
    memmove(c->last, c->last + keep, sizeof(c->last) - keep);
    memcpy(c->last + sizeof(c->last) - keep, p + n - keep, keep);
    return memcmp(c->last, "0\r\n\r\n", sizeof(c->last)) == 0;
}

static bool take_head(struct connection *c, const char *p, size_t n)
{
    size_t room = HEAD_MAX - c->head_n, copied = n < room ? n : room;

    memcpy(c->head + c->head_n, p, copied);
    const char *end = memmem(c->head, c->head_n + copied, "\r\n\r\n", 4);
    if (end == NULL) {
        c->head_n += copied;
        if (room == copied) {
            fprintf(stderr, "hammer: a head of more than %d bytes\n", HEAD_MAX);
            exit(1);
        }
        return false;
    }
    size_t head = (size_t)(end - c->head) + 4, used = head - c->head_n;
    read_head(c, head);
    return take_body(c, p + used, n - used);
}

static void broken(struct load *l, struct connection *c)
{
    l->failed++;
    reopen(l, c);
    begin(l, c);
}

static void receive(struct load *l, struct connection *c)
{
    ssize_t n = recv(c->fd, l->scratch, SCRATCH, MSG_DONTWAIT);

    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0)
        return broken(l, c);
    l->bytes += (uint64_t)n;
    if (c->in_body ? take_body(c, l->scratch, (size_t)n) : take_head(c, l->scratch, (size_t)n))
        finish(l, c);
}

/* --- The run --- */

static void run(struct load *l)
{
    struct epoll_event events[256];

    l->connections = xcalloc((size_t)l->o.connections, sizeof(*l->connections));
    l->active = l->o.connections;
    l->until_us = clock_monotonic_us() + l->o.run_us;
    for (long i = 0; i < l->o.connections; i++) {
        l->connections[i].request = BUFFER_MAX(REQUEST_MAX);
        open_connection(l, &l->connections[i]);
        begin(l, &l->connections[i]);
    }
    while (l->active) {
        int n = epoll_wait(l->epoll, events, ARRAY_SIZE(events), STALLED_MS);
        if (n == 0) {
            fprintf(stderr, "hammer: no answer within %d s\n", STALLED_MS / 1000);
            exit(1);
        }
        for (int i = 0; i < n; i++) {
            struct connection *c = events[i].data.ptr;
            if (events[i].events & EPOLLOUT)
                send_more(l, c);
            if (events[i].events & ~(uint32_t)EPOLLOUT)
                receive(l, c);
        }
    }
}

static int compare(const void *a, const void *b)
{
    const uint32_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static uint32_t quantile(const struct load *l, double q)
{
    return l->latencies_n ? l->latencies[(size_t)(q * (double)(l->latencies_n - 1))] : 0;
}

static void print(struct load *l, int64_t us)
{
    struct rusage used;

    qsort(l->latencies, l->latencies_n, sizeof(*l->latencies), compare);
    getrusage(RUSAGE_SELF, &used);
    double cpu = (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
                 (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
    printf("{\"answers\": %llu, \"failed\": %llu, \"wrong_status\": %d, \"seconds\": %.6f, \"rate\": %.1f, \"bytes\": "
           "%llu, \"p50_us\": %u, \"p99_us\": %u, \"cpu_seconds\": %.3f}\n",
           (unsigned long long)l->answers, (unsigned long long)l->failed, l->first_wrong, (double)us / 1e6,
           (double)l->answers * 1e6 / (double)us, (unsigned long long)l->bytes, quantile(l, 0.5), quantile(l, 0.99),
           cpu);
}

/* --- Arguments --- */

static void set_unix(struct options *o, const char *path)
{
    struct sockaddr_un *a = (struct sockaddr_un *)&o->address;

    a->sun_family = AF_UNIX;
    if (snprintf(a->sun_path, sizeof(a->sun_path), "%s", path) >= (int)sizeof(a->sun_path)) {
        fprintf(stderr, "hammer: the path is too long\n");
        exit(2);
    }
    o->address_n = sizeof(*a);
}

static void set_tcp(struct options *o, const char *text)
{
    struct sockaddr_in *a = (struct sockaddr_in *)&o->address;
    const char *colon = strrchr(text, ':');
    _cleanup_free_ char *host = colon ? xstrndup(text, (size_t)(colon - text)) : NULL;
    unsigned long long port;

    a->sin_family = AF_INET;
    if (host == NULL || inet_pton(AF_INET, host, &a->sin_addr) != 1 ||
        str_to_u64(str_from(colon + 1), 65535, &port) < 0) {
        fprintf(stderr, "hammer: %s is not of the form 127.0.0.1:80\n", text);
        exit(2);
    }
    a->sin_port = htons((uint16_t)port);
    o->address_n = sizeof(*a);
    o->host = text;
}

enum { UNIX, TCP, CONNECTIONS, SECONDS, REQUESTS, METHOD, PATH, HOST, HEADER, BODY, BODY_BYTES, FIRST, MODULO, EXPECT };

static const struct option names[] = {
    {"unix", 1, NULL, UNIX},
    {"tcp", 1, NULL, TCP},
    {"connections", 1, NULL, CONNECTIONS},
    {"seconds", 1, NULL, SECONDS},
    {"requests", 1, NULL, REQUESTS},
    {"method", 1, NULL, METHOD},
    {"path", 1, NULL, PATH},
    {"host", 1, NULL, HOST},
    {"header", 1, NULL, HEADER},
    {"body", 1, NULL, BODY},
    {"body-bytes", 1, NULL, BODY_BYTES},
    {"first", 1, NULL, FIRST},
    {"modulo", 1, NULL, MODULO},
    {"expect", 1, NULL, EXPECT},
    {NULL, 0, NULL, 0},
};

static void fill(struct buffer *b, long n)
{
    while (n-- > 0)
        buffer_append(b, "x", 1);
}

static void take_option(struct options *o, int which, const char *value)
{
    switch (which) {
    case UNIX:
        set_unix(o, value);
        break;
    case TCP:
        set_tcp(o, value);
        break;
    case CONNECTIONS:
        o->connections = strtol(value, NULL, 10);
        break;
    case SECONDS:
        o->run_us = (int64_t)(strtod(value, NULL) * 1e6);
        break;
    case REQUESTS:
        o->requests = strtol(value, NULL, 10);
        break;
    case METHOD:
        o->method = value;
        break;
    case PATH:
        o->path = value;
        break;
    case HOST:
        o->host = value;
        break;
    case HEADER:
        buffer_printf(&o->headers, "%s\r\n", value);
        break;
    case BODY:
        buffer_puts(&o->body, value);
        break;
    case BODY_BYTES:
        fill(&o->body, strtol(value, NULL, 10));
        break;
    case FIRST:
        o->first = strtol(value, NULL, 10);
        break;
    case MODULO:
        o->modulo = strtol(value, NULL, 10);
        break;
    case EXPECT:
        o->expect = (int)strtol(value, NULL, 10);
        break;
    default:
        exit(2);
    }
}

int main(int argc, char **argv)
{
    static struct load l;
    int which;

    l.o = (struct options){.method = "GET",
                           .path = "/",
                           .host = "localhost",
                           .connections = 1,
                           .run_us = 2000000,
                           .expect = 200,
                           .headers = BUFFER_MAX(65536),
                           .body = BUFFER_MAX(REQUEST_MAX)};
    while ((which = getopt_long(argc, argv, "", names, NULL)) != -1)
        take_option(&l.o, which, optarg);
    if (l.o.address_n == 0 || optind < argc || l.o.connections < 1) {
        fprintf(stderr, "usage: hammer (--unix PATH | --tcp HOST:PORT) [OPTION…], see the head of hammer.c\n");
        return 2;
    }
    struct str body = buffer_str(&l.o.body);
    l.o.numbered = strstr(l.o.path, "%N") || (body.n && memmem(body.p, body.n, "%N", 2));
    l.epoll = epoll_create1(EPOLL_CLOEXEC);
    int64_t start = clock_monotonic_us();
    run(&l);
    print(&l, clock_monotonic_us() - start);
    return 0;
}
