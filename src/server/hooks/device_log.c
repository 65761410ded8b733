/*
 * A log is fetched from the runner's socket by a thread of its own and handed on through a bounded buffer: a reader
 * that does not take its bytes stops the thread, which stops the runner. A reader that goes ends all of it at once,
 * also before the environment has said anything.
 */
#include "server/hooks/device_log.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/text.h"
#include "base/thread.h"
#include "client/transport.h"

#define MAX_LOGS 64
#define BUFFER_BYTES ((size_t)64 * 1024)
#define MAX_TAIL_LINES 100000
#define RETRY_SECONDS 5
#define MAX_REFUSAL ((size_t)64 << 10) /* what the runner says where it refuses */
#define REASON_SHOWN 512

static atomic_uint open_logs;

struct log {
    pthread_mutex_t lock;
    pthread_cond_t room;  /* for the thread: bytes were taken, or nobody listens any more */
    struct source source; /* what the reader pulls */
    struct request *request;
    struct transport *runner;
    char *path;
    int stop_fd; /* an eventfd: nobody listens any more */
    char bytes[BUFFER_BYTES];
    size_t from, used;
    bool streaming; /* the answer has begun; the thread's own */
    bool ended;     /* the runner has said all */
    bool closed;    /* nobody listens any more */
    unsigned references;
};

static void log_unref(struct log *l)
{
    pthread_mutex_lock(&l->lock);
    bool last = --l->references == 0;
    pthread_mutex_unlock(&l->lock);
    if (!last)
        return;
    pthread_cond_destroy(&l->room);
    pthread_mutex_destroy(&l->lock);
    transport_free(l->runner);
    close(l->stop_fd);
    free(l->path);
    free(l);
    atomic_fetch_sub(&open_logs, 1);
}

static ssize_t log_read(struct source *source, char *out, size_t max)
{
    struct log *l = container_of(source, struct log, source);
    LOCK_SCOPE(&l->lock);

    if (l->used == 0)
        return l->ended ? -1 : 0;
    size_t run = BUFFER_BYTES - l->from;
    size_t n = l->used < run ? l->used : run;
    if (n > max)
        n = max;
    memcpy(out, l->bytes + l->from, n);
    l->from = (l->from + n) % BUFFER_BYTES;
    l->used -= n;
    pthread_cond_signal(&l->room);
    return (ssize_t)n;
}

/* The reader has gone: before the answer, or while it is sent. */
static void stop_reading(void *state)
{
    struct log *l = state;

    LOCK_SCOPE(&l->lock);
    l->closed = true;
    pthread_cond_signal(&l->room);
    eventfd_write(l->stop_fd, 1);
}

static void log_close(struct source *source)
{
    struct log *l = container_of(source, struct log, source);

    stop_reading(l);
    log_unref(l);
}

/* Under the lock. */
static size_t keep_bytes(struct log *l, const char *p, size_t n)
{
    size_t to = (l->from + l->used) % BUFFER_BYTES;
    size_t run = to < l->from ? l->from - to : BUFFER_BYTES - to;
    size_t room = BUFFER_BYTES - l->used;

    if (n > run)
        n = run;
    if (n > room)
        n = room;
    memcpy(l->bytes + to, p, n);
    l->used += n;
    return n;
}

/* The answer begins with the runner's, so that a refusal can still be said with a status, and a reader need not wait
 * for an environment that says nothing. Without the lock: log_close, which takes it, may be called from in here. */
static void answer_begins(void *arg, unsigned status)
{
    struct log *l = arg;

    if (status != 200)
        return;
    l->streaming = true;
    pthread_mutex_lock(&l->lock);
    l->references++;
    pthread_mutex_unlock(&l->lock);
    request_add_header(l->request, "X-Content-Type-Options", "nosniff");
    l->source = (struct source){.read = log_read, .close = log_close};
    request_stream(l->request, 200, "text/plain; charset=utf-8", &l->source);
}

static int hand_on(void *arg, struct str piece)
{
    struct log *l = arg;
    size_t at = 0;

    LOCK_SCOPE(&l->lock);
    while (at < piece.n) {
        while (l->used == BUFFER_BYTES && !l->closed)
            pthread_cond_wait(&l->room, &l->lock);
        if (l->closed)
            return -1;
        at += keep_bytes(l, piece.p + at, piece.n - at);
        source_wake(&l->source);
    }
    return 0;
}

/* The runner's own reason, where it gave one. */
static struct error *refusal(const struct answer *a)
{
    struct error *err = NULL;
    struct str said = str_trim(buffer_str(&a->body));

    if (a->status == 404) {
        error_set(&err, REASON_NOT_FOUND, "the environment has no container (yet), so there is no log");
        return err;
    }
    error_set(&err, a->status == 429 ? REASON_TOO_MANY_REQUESTS : REASON_SERVICE_UNAVAILABLE, "the runner: %.*s",
              (int)text_cut(said, REASON_SHOWN), said.n ? said.p : "");
    err->retry_after = RETRY_SECONDS;
    return err;
}

static struct error *no_answer(struct error *cause)
{
    error_wrap(&cause, "the runner does not answer");
    cause->reason = REASON_SERVICE_UNAVAILABLE;
    cause->retry_after = RETRY_SECONDS;
    return cause;
}

static void *fetch_log(void *arg)
{
    struct log *l = arg;
    struct error *err = NULL;
    _cleanup_answer_ struct answer answer = {0};
    const struct call call = {.method = "GET",
                              .path = l->path,
                              .stop_fd = l->stop_fd,
                              .max_body = MAX_REFUSAL,
                              .begun = answer_begins,
                              .receive = hand_on,
                              .arg = l};
    int rc = transport_call(l->runner, &call, &answer, &err);

    pthread_mutex_lock(&l->lock);
    l->ended = true;
    if (l->streaming && !l->closed)
        source_wake(&l->source);
    pthread_mutex_unlock(&l->lock);
    if (l->streaming)
        error_free(err);
    else
        request_fail(l->request, rc < 0 ? no_answer(err) : refusal(&answer));
    log_unref(l);
    return NULL;
}

static int tail_lines(const struct operation *op, unsigned long long *lines, struct error **err)
{
    const char *text = operation_parameter(op, "tailLines");

    *lines = MAX_TAIL_LINES;
    if (text && str_to_u64(str_from(text), MAX_TAIL_LINES, lines) < 0)
        return error_set(err, REASON_BAD_REQUEST, "tailLines: expected a whole number up to %d", MAX_TAIL_LINES);
    return 0;
}

static int take_slot(struct error **err)
{
    if (atomic_fetch_add(&open_logs, 1) < MAX_LOGS)
        return 0;
    atomic_fetch_sub(&open_logs, 1);
    error_set(err, REASON_TOO_MANY_REQUESTS, "%d logs are being read already", MAX_LOGS);
    (*err)->retry_after = RETRY_SECONDS;
    return -1;
}

static struct log *log_new(struct request *r, const char *socket, int stop_fd)
{
    struct log *l = xcalloc(1, sizeof(*l));

    pthread_mutex_init(&l->lock, NULL);
    pthread_cond_init(&l->room, NULL);
    l->request = r;
    l->references = 1;
    l->stop_fd = stop_fd;
    l->runner = transport_new(&(struct transport_options){.socket = socket, .url = "http://runner"});
    return l;
}

void device_log(struct request *r, struct object *object, void *context_arg)
{
    const struct hook_context *context = context_arg;
    const struct operation *op = request_operation(r);
    struct error *err = NULL;
    unsigned long long lines;

    if (tail_lines(op, &lines, &err) < 0 || take_slot(&err) < 0) {
        request_fail(r, err);
        return;
    }
    int stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (stop_fd < 0) { /* without it nobody could end the log */
        error_errno(&err, errno, "log");
        atomic_fetch_sub(&open_logs, 1);
        request_fail(r, err);
        return;
    }
    bool follow = streq(operation_parameter(op, "follow"), "true");
    struct log *l = log_new(r, context->logs_socket, stop_fd);
    l->path = xasprintf("/devices/%s/log?follow=%s&tailLines=%llu", object->uid, follow ? "true" : "false", lines);
    request_on_gone(r, stop_reading, l);
    pthread_detach(thread_start("device-log", fetch_log, l));
}
