#pragma once

#include <stdbool.h>

#include "base/attributes.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARNING, LOG_ERROR };

/* One line to standard error: RFC 3339 time, level, program part, text. Control characters in the text are replaced, so
 * that nobody's name can forge a line. Keeps errno. */
void log_write(enum log_level level, const char *fmt, ...) _printf_(2, 3);
/* The part named in each line ("server", "runner"); a static string. */
void log_set_part(const char *part);
/* Where standard error leads to systemd's journal, lines say their level in its way, and leave the time to it. */
void log_set_journal(void);
bool log_is_journal(void);
void log_set_level(enum log_level level);

#define log_debug(...) log_write(LOG_DEBUG, __VA_ARGS__)
#define log_info(...) log_write(LOG_INFO, __VA_ARGS__)
#define log_warning(...) log_write(LOG_WARNING, __VA_ARGS__)
#define log_error(...) log_write(LOG_ERROR, __VA_ARGS__)
