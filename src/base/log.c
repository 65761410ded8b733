#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"

#define LINE_MAX_BYTES 2048

static const char *const names[] = {"debug", "info", "warning", "error"};
static const char *log_part = "open-hydra";
static enum log_level log_threshold = LOG_INFO;
static bool log_for_journal;

void log_set_part(const char *part)
{
    log_part = part;
}

void log_set_level(enum log_level level)
{
    log_threshold = level;
}

/* Whether standard error leads to systemd's journal, by what it says of it: device and inode (systemd.exec(5)). */
void log_set_journal(void)
{
    struct str inode = str_from(getenv("JOURNAL_STREAM")), device;
    unsigned long long d, i;
    struct stat st;

    log_for_journal = str_split(&inode, ':', &device) && str_to_u64(device, UINT64_MAX, &d) == 0 &&
                      str_to_u64(inode, UINT64_MAX, &i) == 0 && fstat(STDERR_FILENO, &st) == 0 &&
                      st.st_dev == (dev_t)d && st.st_ino == (ino_t)i;
}

bool log_is_journal(void)
{
    return log_for_journal;
}

/* The journal knows the time, and takes the level as syslog's number (sd-daemon(3)). */
static int write_head(char *line, size_t size, enum log_level level)
{
    static const char syslog[] = {'7', '6', '4', '3'};
    char now[TIMESTAMP_SIZE];

    if (log_for_journal)
        return snprintf(line, size, "<%c>%s: ", syslog[level], log_part);
    timestamp_micro(now, clock_realtime_us());
    return snprintf(line, size, "%s %s %s: ", now, names[level], log_part);
}

void log_write(enum log_level level, const char *fmt, ...)
{
    char line[LINE_MAX_BYTES];
    int saved = errno;
    va_list args;

    if (level < log_threshold)
        return;
    size_t n = (size_t)write_head(line, sizeof(line), level);
    va_start(args, fmt);
    errno = saved;
    int text = vsnprintf(line + n, sizeof(line) - n - 1, fmt, args);
    va_end(args);
    if (text > 0)
        n += (size_t)text < sizeof(line) - n - 1 ? (size_t)text : sizeof(line) - n - 2;
    n = text_clean(line, n, "");
    line[n++] = '\n';
    /* One write, so that lines of several threads and processes do not mix. */
    ssize_t ignored _unused_ = write(STDERR_FILENO, line, n);
    errno = saved;
}
