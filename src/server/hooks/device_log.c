/*
 * A log is fetched from the runner's socket by a thread of its own and handed on through a bounded buffer: a reader
 * that does not take its bytes stops the thread, which stops the runner. A reader that goes ends all of it at once,
 * also before the environment has said anything.
 */
#include "server/hooks/device_log.h"

#include <curl/curl.h>

#include "base/alloc.h"
#include "base/thread.h"

#define MAX_LOGS 64
#define BUFFER_BYTES ((size_t)64 * 1024)
#define MAX_TAIL_LINES 100000
#define POLL_MS 10000 /* woken before where something happens */
#define RETRY_SECONDS 5
#define MAX_REASON ((size_t)512) /* of what the runner says where it refuses */

static atomic_uint open_logs;

struct log {
    pthread_mutex_t lock;
    pthread_cond_t room;  /* for the thread: bytes were taken, or nobody listens any more */
    struct source source; /* what the reader pulls */
    struct request *request;
    char *url, *socket;
    CURLM *multi; /* what the thread waits in, to be woken from */
    CURL *curl;   /* the thread's own, as the next three */
    char bytes[BUFFER_BYTES];
    size_t from, used;
    long status;          /* of the runner's answer */
    struct buffer reason; /* its body where it is no log */
    bool streaming;       /* the answer has begun */
    bool ended;           /* the runner has said all */
    bool closed;          /* nobody listens any more */
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
    curl_multi_cleanup(l->multi);
    buffer_free(&l->reason);
    free(l->url);
    free(l->socket);
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
    curl_multi_wakeup(l->multi);
}

static void log_close(struct source *source)
{
    struct log *l = container_of(source, struct log, source);

    stop_reading(l);
    log_unref(l);
}

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

/* Without the lock: log_close, which takes it, may be called from in here. */
static void begin(struct log *l)
{
    l->streaming = true;
    pthread_mutex_lock(&l->lock);
    l->references++;
    pthread_mutex_unlock(&l->lock);
    request_add_header(l->request, "X-Content-Type-Options", "nosniff");
    l->source = (struct source){.read = log_read, .close = log_close};
    request_stream(l->request, 200, "text/plain; charset=utf-8", &l->source);
}

/* The answer begins with the runner's, so that a refusal can still be said with a status, and a reader need not wait
 * for an environment that says nothing. */
static size_t header_received(char *p, size_t size, size_t count, void *arg)
{
    struct log *l = arg;
    size_t n = size * count;

    if (!l->streaming && n > 5 && memcmp(p, "HTTP/", 5) == 0) {
        curl_easy_getinfo(l->curl, CURLINFO_RESPONSE_CODE, &l->status);
        if (l->status == 200)
            begin(l);
    }
    return n;
}

static size_t received(char *p, size_t size, size_t count, void *arg)
{
    struct log *l = arg;
    size_t n = size * count, at = 0;

    if (!l->streaming) {
        buffer_append(&l->reason, p, n < MAX_REASON - l->reason.n ? n : MAX_REASON - l->reason.n);
        return n;
    }
    LOCK_SCOPE(&l->lock);
    while (at < n) {
        while (l->used == BUFFER_BYTES && !l->closed)
            pthread_cond_wait(&l->room, &l->lock);
        if (l->closed)
            return 0;
        at += put(l, p + at, n - at);
        source_wake(&l->source);
    }
    return n;
}

static bool is_wanted(struct log *l)
{
    LOCK_SCOPE(&l->lock);
    return !l->closed;
}

static CURL *prepare(struct log *l)
{
    CURL *curl = curl_easy_init();

    if (curl == NULL)
        abort();
    curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, l->socket);
    curl_easy_setopt(curl, CURLOPT_URL, l->url);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http");
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, 5L);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, header_received);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, l);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, received);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, l);
    return curl;
}

/* CURLE_OK: the runner's answer is whole. */
static CURLcode fetch(struct log *l)
{
    int running = 1, left;
    struct CURLMsg *message;
    CURLcode rc = CURLE_ABORTED_BY_CALLBACK;

    l->curl = prepare(l);
    curl_multi_add_handle(l->multi, l->curl);
    while (running && is_wanted(l) && curl_multi_perform(l->multi, &running) == CURLM_OK)
        if (running && curl_multi_poll(l->multi, NULL, 0, POLL_MS, NULL) != CURLM_OK)
            break;
    while ((message = curl_multi_info_read(l->multi, &left)))
        if (message->msg == CURLMSG_DONE)
            rc = message->data.result;
    curl_multi_remove_handle(l->multi, l->curl);
    curl_easy_cleanup(l->curl);
    return rc;
}

/* The runner's own reason, where it gave one. */
static struct error *failure(struct log *l, CURLcode rc)
{
    struct error *err = NULL;
    struct str said = str_trim(buffer_str(&l->reason));

    if (rc != CURLE_OK || l->status == 0)
        error_set(&err, REASON_SERVICE_UNAVAILABLE, "the runner does not answer: %s", curl_easy_strerror(rc));
    else if (l->status == 404)
        error_set(&err, REASON_NOT_FOUND, "the environment has no container (yet), so there is no log");
    else
        error_set(&err, l->status == 429 ? REASON_TOO_MANY_REQUESTS : REASON_SERVICE_UNAVAILABLE, "the runner: %.*s",
                  (int)said.n, said.p ? said.p : "");
    if (l->status != 404)
        err->retry_after = RETRY_SECONDS;
    return err;
}

static void *run(void *arg)
{
    struct log *l = arg;
    CURLcode rc = fetch(l);

    pthread_mutex_lock(&l->lock);
    l->ended = true;
    if (l->streaming && !l->closed)
        source_wake(&l->source);
    pthread_mutex_unlock(&l->lock);
    if (!l->streaming)
        request_fail(l->request, failure(l, rc));
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

void device_log(struct request *r, struct object *object, void *context_arg)
{
    const struct hook_context *context = context_arg;
    struct error *err = NULL;
    const struct operation *op = request_operation(r);
    unsigned long long lines;

    if (tail_lines(op, &lines, &err) < 0) {
        request_fail(r, err);
        return;
    }
    if (atomic_fetch_add(&open_logs, 1) >= MAX_LOGS) {
        atomic_fetch_sub(&open_logs, 1);
        error_set(&err, REASON_TOO_MANY_REQUESTS, "%d logs are being read already", MAX_LOGS);
        err->retry_after = RETRY_SECONDS;
        request_fail(r, err);
        return;
    }
    bool follow = streq(operation_parameter(op, "follow"), "true");
    struct log *l = xcalloc(1, sizeof(*l));
    pthread_mutex_init(&l->lock, NULL);
    pthread_cond_init(&l->room, NULL);
    l->request = r;
    l->references = 1;
    l->reason = BUFFER_MAX(MAX_REASON);
    l->multi = curl_multi_init();
    l->socket = xstrdup(context->logs_socket);
    l->url = xasprintf("http://runner/devices/%s/log?follow=%s&tailLines=%llu", object->uid, follow ? "true" : "false",
                       lines);
    request_on_gone(r, stop_reading, l);
    pthread_detach(thread_start("device-log", run, l));
}
