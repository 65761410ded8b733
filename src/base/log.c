#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"

#define LINE_MAX_BYTES 2048

static const char *const names[] = {"debug", "info", "warning", "error"};
static const char *log_part = "open-hydra";
static enum log_level log_threshold = LOG_INFO;

void log_set_part(const char *part)
{
    log_part = part;
}

void log_set_level(enum log_level level)
{
    log_threshold = level;
}

void log_write(enum log_level level, const char *fmt, ...)
{
    char line[LINE_MAX_BYTES], now[TIMESTAMP_SIZE];
    int saved = errno;
    va_list args;

    if (level < log_threshold)
        return;
    timestamp_micro(now, clock_realtime_us());
    int head = snprintf(line, sizeof(line), "%s %s %s: ", now, names[level], log_part);
    size_t n = (size_t)head;
    va_start(args, fmt);
    errno = saved;
    int text = vsnprintf(line + n, sizeof(line) - n - 1, fmt, args);
    va_end(args);
    if (text > 0)
        n += (size_t)text < sizeof(line) - n - 1 ? (size_t)text : sizeof(line) - n - 2;
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f)
            line[i] = ' ';
    line[n++] = '\n';
    /* One write, so that lines of several threads and processes do not mix. */
    ssize_t ignored _unused_ = write(STDERR_FILENO, line, n);
    errno = saved;
}
