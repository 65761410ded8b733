/*
 * A log is fetched from the runner's socket by a thread of its own and handed on through a bounded buffer: a reader
 * that does not take its bytes stops the thread, which stops the runner.
 */
#include "server/hooks/device_log.h"

#include <curl/curl.h>

#include "base/alloc.h"
#include "base/thread.h"

#define MAX_LOGS 64
#define BUFFER_BYTES ((size_t)64 * 1024)
#define MAX_TAIL_LINES 100000

static atomic_uint open_logs;

struct log {
    pthread_mutex_t lock;
    pthread_cond_t room; /* for the thread: bytes were taken, or nobody listens any more */
    struct http_exchange *x;
    char *url, *socket;
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
    free(l->url);
    free(l->socket);
    free(l);
    atomic_fetch_sub(&open_logs, 1);
}

static ssize_t log_read(void *state, char *out, size_t max)
{
    struct log *l = state;
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

static void log_close(void *state)
{
    struct log *l = state;

    pthread_mutex_lock(&l->lock);
    l->closed = true;
    pthread_cond_signal(&l->room);
    pthread_mutex_unlock(&l->lock);
    log_unref(l);
}

static const struct http_stream_ops log_ops = {log_read, log_close};

/* Under the lock. */
static size_t put(struct log *l, const char *p, size_t n)
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

/* The answer begins with the first byte, so that a failure before it can still be said with a status. Without the lock:
 * log_close, which takes it, may be called from in here. */
static void begin(struct log *l)
{
    if (l->streaming)
        return;
    l->streaming = true;
    pthread_mutex_lock(&l->lock);
    l->references++;
    pthread_mutex_unlock(&l->lock);
    http_add_header(l->x, "X-Content-Type-Options", "nosniff");
    http_stream(l->x, 200, "text/plain; charset=utf-8", &log_ops, l);
}

static size_t received(char *p, size_t size, size_t count, void *arg)
{
    struct log *l = arg;
    size_t n = size * count, at = 0;

    begin(l);
    LOCK_SCOPE(&l->lock);
    while (at < n) {
        while (l->used == BUFFER_BYTES && !l->closed)
            pthread_cond_wait(&l->room, &l->lock);
        if (l->closed)
            return 0;
        at += put(l, p + at, n - at);
        http_stream_wake(l->x);
    }
    return n;
}

static int still_wanted(void *arg, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
    struct log *l = arg;
    LOCK_SCOPE(&l->lock);
    return l->closed ? 1 : 0;
}

static CURLcode fetch(struct log *l, long *status)
{
    CURL *curl = curl_easy_init();

    if (curl == NULL)
        return CURLE_FAILED_INIT;
    curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, l->socket);
    curl_easy_setopt(curl, CURLOPT_URL, l->url);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http");
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, 5L);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_FAILONERROR, 1L);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, received);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, l);
    curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, still_wanted);
    curl_easy_setopt(curl, CURLOPT_XFERINFODATA, l);
    CURLcode rc = curl_easy_perform(curl);
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, status);
    curl_easy_cleanup(curl);
    return rc;
}

static struct error *failure(CURLcode rc, long status)
{
    struct error *err = NULL;

    if (status == 404)
        error_set(&err, REASON_NOT_FOUND, "the environment has no container (yet), so there is no log");
    else
        error_set(&err, REASON_SERVICE_UNAVAILABLE, "the runner does not answer: %s", curl_easy_strerror(rc));
    return err;
}

static void *run(void *arg)
{
    struct log *l = arg;
    long status = 0;
    CURLcode rc = fetch(l, &status);

    pthread_mutex_lock(&l->lock);
    l->ended = true;
    if (l->streaming && !l->closed)
        http_stream_wake(l->x);
    pthread_mutex_unlock(&l->lock);
    if (!l->streaming && rc == CURLE_OK)
        http_reply(l->x, 200, "text/plain; charset=utf-8", STR(""));
    else if (!l->streaming)
        api_reply_error(l->x, failure(rc, status));
    log_unref(l);
    return NULL;
}

static int tail_lines(struct http_exchange *x, unsigned long long *lines, struct error **err)
{
    const char *text = http_query(x, "tailLines");

    *lines = MAX_TAIL_LINES;
    if (text && str_to_u64(str_from(text), MAX_TAIL_LINES, lines) < 0)
        return error_set(err, REASON_BAD_REQUEST, "tailLines: expected a whole number up to %d", MAX_TAIL_LINES);
    return 0;
}

void device_log(struct http_exchange *x, struct object *object, const struct identity *who, void *context_arg)
{
    const struct hook_context *context = context_arg;
    struct error *err = NULL;
    unsigned long long lines;

    if (tail_lines(x, &lines, &err) < 0) {
        api_reply_error(x, err);
        return;
    }
    if (atomic_fetch_add(&open_logs, 1) >= MAX_LOGS) {
        atomic_fetch_sub(&open_logs, 1);
        error_set(&err, REASON_TOO_MANY_REQUESTS, "%d logs are being read already", MAX_LOGS);
        err->retry_after = 5;
        api_reply_error(x, err);
        return;
    }
    bool follow = streq(http_query(x, "follow"), "true");
    struct log *l = xcalloc(1, sizeof(*l));
    pthread_mutex_init(&l->lock, NULL);
    pthread_cond_init(&l->room, NULL);
    l->x = x;
    l->references = 1;
    l->socket = xstrdup(context->logs_socket);
    l->url = xasprintf("http://runner/devices/%s/log?follow=%s&tailLines=%llu", object->uid, follow ? "true" : "false",
                       lines);
    pthread_detach(thread_start("device-log", run, l));
}
