#include "cli/nginx_log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"
#include "cli/become.h"
#include "cli/title.h"

/* Nginx writes a line in one piece of at most 2,048 bytes. */
#define READ_MAX 4096
/* "2026/11/27 22:02:44 " */
#define TIME_LENGTH 20

/* --- Rate --- */

struct nginx_log nginx_log_new(int64_t now_us)
{
    return (struct nginx_log){.counted_us = now_us, .tokens = NGINX_LOG_AT_ONCE};
}

bool nginx_log_may(struct nginx_log *l, int64_t now_us)
{
    int64_t more = (now_us - l->counted_us) / NGINX_LOG_EVERY_US;

    l->counted_us += more * NGINX_LOG_EVERY_US;
    l->tokens = more < NGINX_LOG_AT_ONCE - l->tokens ? l->tokens + (unsigned)more : NGINX_LOG_AT_ONCE;
    if (l->tokens == 0) {
        l->left_out++;
        return false;
    }
    l->tokens--;
    return true;
}

/* --- Lines --- */

static bool begins_with_time(const char *line, size_t n)
{
    static const char form[] = "0000/00/00 00:00:00 ";

    for (size_t i = 0; i < TIME_LENGTH; i++)
        if (i >= n || (form[i] == '0' ? line[i] < '0' || line[i] > '9' : line[i] != form[i]))
            return false;
    return true;
}

static enum log_level level_of(struct str line)
{
    static const struct {
        const char *word;
        enum log_level level;
    } levels[] = {{"[warn]", LOG_WARNING}, {"[notice]", LOG_INFO}, {"[info]", LOG_INFO}, {"[debug]", LOG_DEBUG}};

    for (size_t i = 0; i < ARRAY_SIZE(levels); i++) {
        size_t n = strlen(levels[i].word);
        if (line.n >= n && memcmp(line.p, levels[i].word, n) == 0)
            return levels[i].level;
    }
    return LOG_ERROR;
}

/* What stands between a question mark and the next blank, comma or quotation mark. */
static size_t drop_queries(char *line, size_t n)
{
    size_t out = 0;

    for (size_t i = 0; i < n; i++) {
        line[out++] = line[i];
        if (line[i] != '?')
            continue;
        while (i + 1 < n && !strchr(" ,\"", line[i + 1]))
            i++;
    }
    return out;
}

struct str nginx_log_line(char *line, size_t n, enum log_level *level)
{
    size_t skip = begins_with_time(line, n) ? TIME_LENGTH : 0;

    line += skip;
    n = drop_queries(line, n - skip);
    *level = level_of((struct str){line, n});
    return (struct str){line, n < NGINX_LOG_LINE_MAX ? n : NGINX_LOG_LINE_MAX};
}

/* --- The process --- */

static void write_line(struct nginx_log *l, char *line, size_t n)
{
    enum log_level level;
    struct str text = nginx_log_line(line, n, &level);

    /* What it says of its own life is of no use here. */
    if (text.n == 0 || level < LOG_WARNING || !nginx_log_may(l, clock_monotonic_us()))
        return;
    if (l->left_out)
        log_warning("%u lines of nginx were left out", l->left_out);
    l->left_out = 0;
    log_write(level, "nginx: %.*s", (int)text.n, text.p);
}

/* Returns the bytes behind the last line feed, moved to the front. A line that fills the buffer is one. */
static size_t write_lines(struct nginx_log *l, char *buffer, size_t n)
{
    char *line = buffer, *end;

    while ((end = memchr(line, '\n', n - (size_t)(line - buffer)))) {
        write_line(l, line, (size_t)(end - line));
        line = end + 1;
    }
    n -= (size_t)(line - buffer);
    memmove(buffer, line, n);
    if (n < READ_MAX)
        return n;
    write_line(l, buffer, n);
    return 0;
}

static void write_all_lines(int fd)
{
    struct nginx_log l = nginx_log_new(clock_monotonic_us());
    char buffer[READ_MAX];
    size_t n = 0;
    ssize_t got;

    while ((got = read(fd, buffer + n, sizeof(buffer) - n)) > 0 || (got < 0 && errno == EINTR))
        n = write_lines(&l, buffer, n + (got > 0 ? (size_t)got : 0));
    write_line(&l, buffer, n);
}

/* Signals to stop stay blocked: it ends with the last of nginx's processes. Nothing of the parent's stays open here, by
 * whose end others know that it has gone. */
static _Noreturn void be_writer(int fd, uid_t id)
{
    struct error *err = NULL;

    setpgid(0, 0);
    title_set("gateway log");
    prctl(PR_SET_NAME, "hydra-log");
    log_set_part("gateway");
    if (dup2(fd, STDIN_FILENO) < 0 || close_range(STDERR_FILENO + 1, ~0U, 0) < 0 || become(id, &err) < 0) {
        log_error("the writer of nginx's log: %s", err ? err->message : strerror(errno));
        _exit(1);
    }
    write_all_lines(STDIN_FILENO);
    _exit(0);
}

int nginx_log_start(uid_t id, struct error **err)
{
    int ends[2];

    if (pipe2(ends, O_CLOEXEC) < 0)
        return error_errno(err, errno, "pipe");
    fcntl(ends[1], F_SETFL, O_NONBLOCK);
    pid_t pid = fork();
    if (pid == 0)
        be_writer(ends[0], id);
    close(ends[0]);
    if (pid > 0)
        return ends[1];
    close(ends[1]);
    return error_errno(err, errno, "fork");
}
