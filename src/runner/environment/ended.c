#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "runner/environment/internal.h"

/* --- its last words ------------------------------------------------------------------------------------------- */

static int collect(void *arg, struct str text)
{
    struct buffer *b = arg;

    /* The end is what counts: the first half goes when it is full. */
    if (b->n + text.n > b->max) {
        size_t keep = b->n / 2;
        memmove(b->p, b->p + b->n - keep, keep);
        b->n = keep;
    }
    buffer_append(b, text.p, text.n > b->max / 2 ? b->max / 2 : text.n);
    return 0;
}

/* Length of the UTF-8 character at p (RFC 3629, overlong forms aside), 0: none. */
static size_t character(const unsigned char *p, size_t n)
{
    size_t want = p[0] < 0x80                   ? 1
                  : p[0] >= 0xc2 && p[0] < 0xe0 ? 2
                  : p[0] >= 0xe0 && p[0] < 0xf0 ? 3
                  : p[0] >= 0xf0 && p[0] < 0xf5 ? 4
                                                : 0;

    if (want == 0 || want > n)
        return 0;
    for (size_t i = 1; i < want; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) || (p[0] == 0xf0 && p[1] < 0x90) ||
        (p[0] == 0xf4 && p[1] > 0x8f))
        return 0;
    return want;
}

static void add_clean_line(struct buffer *out, struct str line)
{
    size_t taken = 0;

    if (out->n)
        buffer_append(out, "\n", 1);
    for (size_t i = 0, n; i < line.n && taken < LOG_LINE_BYTES; i += n) {
        n = character((const unsigned char *)line.p + i, line.n - i);
        bool plain = n > 1 || (n == 1 && ((unsigned char)line.p[i] >= 0x20 || line.p[i] == '\t') && line.p[i] != 0x7f);
        if (n == 0)
            n = 1;
        buffer_append(out, plain ? line.p + i : "?", plain ? n : 1);
        taken += n;
    }
}

/* An image may print its token; a status is read by more people than may enter. */
static void hide(struct buffer *b, const char *secret)
{
    size_t n = secret ? strlen(secret) : 0;
    char *at;

    while (n && b->p && (at = memmem(b->p, b->n, secret, n)))
        memset(at, '*', n);
}

static char *last_lines(struct buffer *text)
{
    struct str rest = str_trim(buffer_str(text)), line;
    struct str lines[LOG_LINES];
    size_t n = 0;
    struct buffer out = BUFFER_MAX((LOG_LINE_BYTES + 8) * LOG_LINES);

    while (str_split(&rest, '\n', &line))
        lines[n++ % LOG_LINES] = line;
    for (size_t i = n > LOG_LINES ? n - LOG_LINES : 0; i < n; i++)
        add_clean_line(&out, lines[i % LOG_LINES]);
    return out.n ? buffer_steal(&out) : NULL;
}

char *environment_log(struct controller *c, struct environment *e)
{
    struct runtime_log_options o = {.tail = LOG_LINES, .stop_fd = -1};
    _cleanup_buffer_ struct buffer text = BUFFER_MAX(65536);

    if (c->o.runtime->ops->logs(c->o.runtime, e->uid, &o, collect, &text, NULL) < 0)
        return NULL;
    hide(&text, e->token);
    return last_lines(&text);
}

/* --- again, or not -------------------------------------------------------------------------------------------- */

static unsigned backoff_ms(unsigned restarts)
{
    return limits.restart_first_ms << (restarts > 6 ? 6 : restarts);
}

static void count_restart(struct environment *e)
{
    int64_t now = clock_monotonic_us();

    if (now - e->window_since_us > (int64_t)limits.restart_window_seconds * 1000000) {
        e->window_since_us = now;
        e->restarts_in_window = 0;
    }
    e->restarts++;
    e->restarts_in_window++;
}

static char *describe(const struct environment *e, const struct instance *i, const char *what)
{
    const char *said = i && i->said ? i->said : "";

    if (i && i->out_of_memory)
        return xasprintf("it used more memory than its limit and was ended by the kernel (exit code %d)", i->exit_code);
    if (i)
        return xasprintf("it ended by itself with exit code %d%s%s", i->exit_code, *said ? ": " : "", said);
    return xstrdup(what);
}

void environment_ended(struct controller *c, struct environment *e, const struct instance *i, const char *what)
{
    _cleanup_free_ char *description = describe(e, i, what);
    const char *reason = i && i->out_of_memory ? "OutOfMemory" : "Ended";
    _cleanup_error_ struct error *err = NULL;

    free(e->log);
    e->log = i ? environment_log(c, e) : NULL;
    log_warning("%s: %s", e->name, description);
    if (e->restarts_in_window >= limits.restart_limit) {
        _cleanup_free_ char *message =
            xasprintf("%s; started again %u times, then given up", description, e->restarts_in_window);
        environment_fail(c, e, reason, message, true);
        return;
    }
    if (c->o.runtime->ops->remove(c->o.runtime, e->uid, 0, &err) < 0) {
        e->container = CONTAINER_UNKNOWN; /* it is looked at again */
        environment_stumble(c, e, reason, err);
        return;
    }
    unsigned pause = backoff_ms(e->restarts_in_window);
    count_restart(e);
    e->container = CONTAINER_ABSENT;
    e->met = false;
    e->not_before_us = clock_monotonic_us() + (int64_t)pause * 1000;
    environment_enter(e, PHASE_STARTING, limits.starting_seconds);
    environment_set(e, PHASE_STARTING, reason, "%s; starting again (%u of %u)", description, e->restarts_in_window,
                    limits.restart_limit);
    queue_add_after(c->queue, e->name, pause);
}
