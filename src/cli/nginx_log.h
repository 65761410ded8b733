#pragma once

#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"
#include "base/log.h"
#include "base/str.h"

/*
 * What nginx says goes into our log by a writer of its own: nginx puts raw bytes of strangers into its lines (request,
 * host, referrer), as many as they like. Addresses lose their query, which may hold a one-use ticket.
 */
struct nginx_log {
    int64_t counted_us;
    unsigned tokens;   /* lines that may be written now */
    unsigned left_out; /* since the last one that was */
};
#define NGINX_LOG_AT_ONCE 20
#define NGINX_LOG_EVERY_US 500000
#define NGINX_LOG_LINE_MAX ((size_t)512)

struct nginx_log nginx_log_new(int64_t now_us);
/* Whether one more line may be written. */
bool nginx_log_may(struct nginx_log *l, int64_t now_us);
/* Tidies a line in place (without its line feed; control characters are log_write's business): no time, no queries, not
 * longer than the maximum. Returns the new text, and its level. */
struct str nginx_log_line(char *line, size_t n, enum log_level *level);

/* A process, as that user, that writes until nobody has the other end any more. Returns the end to write to, which
 * never blocks: lines are dropped rather than requests held up. */
int nginx_log_start(uid_t id, struct error **err) _must_check_;
