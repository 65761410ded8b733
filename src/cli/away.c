#include "cli/away.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "base/io.h"

#define MAX_LISTENERS 8
#define MAX_ANSWER ((size_t)16 << 10)
#define REQUEST_MS 1000
/* A body that is still coming is read, or its sender would see a broken connection instead of the answer. */
#define BODY_MS 200
#define MAX_BODY ((size_t)4 << 20)

static void write_answer(struct buffer *out, const char *reason)
{
    _cleanup_buffer_ struct buffer body = BUFFER_MAX(MAX_ANSWER), message = BUFFER_MAX(MAX_ANSWER);

    buffer_printf(&message, "the server cannot start: %.1024s; it is tried again", reason);
    buffer_puts(&body,
                "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{},\"status\":\"Failure\",\"message\":");
    buffer_json_string(&body, buffer_str(&message));
    buffer_puts(&body, ",\"reason\":\"ServiceUnavailable\",\"details\":{\"retryAfterSeconds\":5},\"code\":503}");
    /* Without a Retry-After, at which kubectl would ask ten times more, in silence, before it says the reason. */
    buffer_printf(out,
                  "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nCache-Control: no-store\r\n"
                  "Connection: close\r\nContent-Length: %zu\r\n\r\n",
                  body.n);
    buffer_add(out, buffer_str(&body));
}

/* Returns how much came; 0: nothing in that time, or the end. */
static size_t read_some(int fd, int timeout_ms)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    char piece[65536];
    ssize_t n = poll(&p, 1, timeout_ms) > 0 ? recv(fd, piece, sizeof(piece), MSG_DONTWAIT) : 0;

    return n > 0 ? (size_t)n : 0;
}

static void answer_away(int listener, struct str text)
{
    _cleanup_close_ int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    size_t total = 0, n;

    if (fd < 0 || read_some(fd, REQUEST_MS) == 0)
        return;
    if (send(fd, text.p, text.n, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
        return;
    shutdown(fd, SHUT_WR);
    while (total < MAX_BODY && (n = read_some(fd, BODY_MS)))
        total += n;
}

void away_answer(const int *listeners, size_t n, const char *reason, int stop_fd, int64_t until_us)
{
    _cleanup_buffer_ struct buffer text = BUFFER_MAX(MAX_ANSWER);
    struct pollfd fds[MAX_LISTENERS + 1] = {{.fd = stop_fd, .events = POLLIN}};

    for (size_t i = 0; i < n && i < MAX_LISTENERS; i++)
        fds[i + 1] = (struct pollfd){.fd = listeners[i], .events = POLLIN};
    write_answer(&text, reason);
    for (;;) {
        int64_t left = (until_us - clock_monotonic_us() + 999) / 1000;
        if (left <= 0)
            return;
        if (poll(fds, (nfds_t)n + 1, left < 60000 ? (int)left : 60000) <= 0)
            continue;
        if (fds[0].revents)
            return;
        for (size_t i = 1; i <= n; i++)
            if (fds[i].revents)
                answer_away(fds[i].fd, buffer_str(&text));
    }
}
