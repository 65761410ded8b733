#include "runner/logs.h"

#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "base/io.h"
#include "base/thread.h"
#include "kinds/names.h"
#include "runner/course.h"
#include "runner/environment/environment.h"

#define MAX_REQUESTS 64
#define BUFFER_BYTES (64u << 10)
#define MAX_TAIL 100000
#define IDLE_SECONDS 60
#define MAX_COURSE_WORK ((size_t)512 << 10)
/* How long copying a course takes is an environment's own affair, so that it never has all places. */
#define MAX_COURSES (MAX_REQUESTS / 2)
#define MAX_COURSES_EACH 2

/* Each request has a thread of its own, since the engine's answers block; there are few. */
struct logs {
    struct runtime *runtime;
    struct http_server *server;
    pthread_mutex_t lock;
    pthread_cond_t less;
    unsigned requests;       /* that exist */
    unsigned unanswered;     /* of these */
    struct request *courses; /* of these, those that are being copied */
    bool stopping;
};

struct request {
    struct logs *logs;
    struct http_exchange *x;
    char *instance;
    void (*serve)(struct request *r);
    char *course, *version; /* where it is about one */
    struct request *next_course;
    struct runtime_log_options options; /* stop_fd: readable once the peer is gone */
    pthread_mutex_t lock;
    pthread_cond_t room;
    struct buffer text;
    size_t taken; /* of text */
    bool ended, closed;
    unsigned refs; /* the thread's and the stream's */
};

static void request_free(struct request *r)
{
    struct logs *l = r->logs;

    if (r->options.stop_fd >= 0)
        close(r->options.stop_fd);
    buffer_free(&r->text);
    pthread_cond_destroy(&r->room);
    pthread_mutex_destroy(&r->lock);
    free(r->instance);
    free(r->course);
    free(r->version);
    free(r);
    LOCK_SCOPE(&l->lock);
    l->requests--;
    pthread_cond_signal(&l->less);
}

static void request_unref(struct request *r)
{
    pthread_mutex_lock(&r->lock);
    bool last = --r->refs == 0;
    pthread_mutex_unlock(&r->lock);
    if (last)
        request_free(r);
}

/* --- The stream's side: event threads --- */

static ssize_t stream_read(void *state, char *out, size_t max)
{
    struct request *r = state;
    LOCK_SCOPE(&r->lock);
    size_t n = r->text.n - r->taken;

    if (n == 0)
        return r->ended ? -1 : 0;
    if (n > max)
        n = max;
    memcpy(out, r->text.p + r->taken, n);
    r->taken += n;
    if (r->taken == r->text.n) {
        buffer_clear(&r->text);
        r->taken = 0;
        pthread_cond_signal(&r->room);
    }
    return (ssize_t)n;
}

static void stream_close(void *state)
{
    struct request *r = state;
    uint64_t one = 1;

    pthread_mutex_lock(&r->lock);
    r->closed = true;
    pthread_cond_signal(&r->room);
    pthread_mutex_unlock(&r->lock);
    ssize_t ignored _unused_ = write(r->options.stop_fd, &one, sizeof(one));
    request_unref(r);
}

static const struct http_stream_ops stream_ops = {stream_read, stream_close};

/* --- The engine's side: a thread --- */

static int push_text(void *arg, struct str text)
{
    struct request *r = arg;
    LOCK_SCOPE(&r->lock);

    while (text.n && !r->closed) {
        size_t room = BUFFER_BYTES - r->text.n;
        if (room == 0) {
            pthread_cond_wait(&r->room, &r->lock);
            continue;
        }
        size_t n = text.n < room ? text.n : room;
        buffer_append(&r->text, text.p, n);
        text = (struct str){text.p + n, text.n - n};
        http_stream_wake(r->x);
    }
    return r->closed ? -1 : 0;
}

static void end_log(struct request *r)
{
    LOCK_SCOPE(&r->lock);
    r->ended = true;
    if (!r->closed)
        http_stream_wake(r->x);
}

static void count_answered(struct request *r)
{
    LOCK_SCOPE(&r->logs->lock);
    r->logs->unanswered--;
    pthread_cond_signal(&r->logs->less);
}

static void reply_error(struct http_exchange *x, const struct error *err)
{
    _cleanup_free_ char *text = xasprintf("%s\n", err->message);
    http_reply(x, reason_code(err->reason), "text/plain; charset=utf-8", str_from(text));
}

static void serve_log(struct request *r)
{
    _cleanup_error_ struct error *err = NULL;
    _cleanup_instance_ struct instance i = {0};
    struct runtime *runtime = r->logs->runtime;

    /* Asked first: once the stream has begun, there is no other status than 200. */
    if (runtime->ops->inspect(runtime, r->instance, &i, &err) < 0) {
        reply_error(r->x, err);
        count_answered(r);
        return;
    }
    r->refs++; /* nobody else has it yet */
    http_stream(r->x, 200, "text/plain; charset=utf-8", &stream_ops, r);
    count_answered(r);
    if (runtime->ops->logs(runtime, r->instance, &r->options, push_text, r, &err) < 0 && err) {
        _cleanup_free_ char *text = xasprintf("%s\n", err->message);
        push_text(r, str_from(text));
    }
    end_log(r);
}

static void serve_usage(struct request *r)
{
    _cleanup_error_ struct error *err = NULL;
    struct runtime_usage u;
    struct runtime *runtime = r->logs->runtime;

    if (runtime->ops->usage(runtime, r->instance, &u, &err) < 0) {
        reply_error(r->x, err);
        return;
    }
    _cleanup_free_ char *text = xasprintf(
        "{\"memoryBytes\":%llu,\"memoryLimitBytes\":%llu,\"cpuNanoseconds\":%llu,\"pids\":%u}",
        (unsigned long long)u.memory_bytes, (unsigned long long)u.memory_limit, (unsigned long long)u.cpu_ns, u.pids);
    http_reply(r->x, 200, "application/json", str_from(text));
}

static int begin_course(struct request *r, struct error **err)
{
    struct logs *l = r->logs;
    unsigned all = 0, own = 0;
    LOCK_SCOPE(&l->lock);

    for (const struct request *other = l->courses; other; other = other->next_course, all++)
        own += streq(other->instance, r->instance);
    if (own == MAX_COURSES_EACH)
        return error_set(err, REASON_CONFLICT, "%u courses are being copied in the environment already", own);
    if (all == MAX_COURSES)
        return error_set(err, REASON_TOO_MANY_REQUESTS, "%u courses are being copied already", all);
    r->next_course = l->courses;
    l->courses = r;
    return 0;
}

static void end_course(struct request *r)
{
    struct request **at = &r->logs->courses;
    LOCK_SCOPE(&r->logs->lock);

    while (*at != r)
        at = &(*at)->next_course;
    *at = r->next_course;
}

static int copy_course(struct request *r, struct buffer *result, struct error **err)
{
    if (begin_course(r, err) < 0)
        return -1;
    int rc = course_work(r->logs->runtime, r->instance, r->course, r->version, result, err);
    end_course(r);
    return rc;
}

static void serve_course(struct request *r)
{
    _cleanup_error_ struct error *err = NULL;
    _cleanup_buffer_ struct buffer result = BUFFER_MAX(MAX_COURSE_WORK);

    if (copy_course(r, &result, &err) < 0)
        reply_error(r->x, err);
    else
        http_reply(r->x, 200, "application/json", str_trim(buffer_str(&result)));
}

static void *serve_request(void *arg)
{
    struct request *r = arg;

    r->serve(r);
    if (r->serve != serve_log)
        count_answered(r);
    request_unref(r);
    return NULL;
}

/* --- Requests --- */

static bool take_request_place(struct logs *l)
{
    LOCK_SCOPE(&l->lock);
    if (l->requests == MAX_REQUESTS || l->stopping)
        return false;
    l->requests++;
    l->unanswered++;
    return true;
}

static const struct question {
    const char *name;
    enum http_method method;
    void (*serve)(struct request *r);
} questions[] = {{"log", HTTP_GET, serve_log}, {"usage", HTTP_GET, serve_usage}, {"course", HTTP_POST, serve_course}};

/* "/devices/UID/log" */
static bool parse_path(struct str path, struct str *uid, struct str *what)
{
    struct str part;

    return str_split(&path, '/', &part) && part.n == 0 && str_split(&path, '/', &part) &&
           str_is(part, PLURAL_DEVICES) && str_split(&path, '/', uid) && is_plain_id(*uid) &&
           str_split(&path, '/', what) && path.n == 0;
}

static const struct question *find_question(const struct http_exchange *x, struct str *uid)
{
    struct str what;

    if (!parse_path(http_path(x), uid, &what))
        return NULL;
    for (size_t i = 0; i < ARRAY_SIZE(questions); i++)
        if (str_is(what, questions[i].name) && http_method(x) == questions[i].method)
            return &questions[i];
    return NULL;
}

static int parse_options(struct http_exchange *x, struct runtime_log_options *o)
{
    const char *follow = http_query(x, "follow"), *tail = http_query(x, "tailLines");
    unsigned long long n = RUNTIME_LOG_ALL;

    if (tail && str_to_u64(str_from(tail), MAX_TAIL, &n) < 0)
        return -1;
    *o = (struct runtime_log_options){
        .follow = streq(follow, "true") || streq(follow, "1"), .tail = (unsigned)n, .stop_fd = -1};
    return 0;
}

static void begin_request(struct logs *l, struct http_exchange *x, struct str uid, const struct question *q,
                          struct runtime_log_options options)
{
    struct request *r = xcalloc(1, sizeof(*r));
    _cleanup_free_ char *device_uid = xstrndup(uid.p, uid.n);

    *r = (struct request){.logs = l,
                          .x = x,
                          .instance = environment_instance(device_uid),
                          .serve = q->serve,
                          .course = xstrdup_or_null(http_query(x, "name")),
                          .version = xstrdup_or_null(http_query(x, "version")),
                          .options = options,
                          .refs = 1};
    r->text = BUFFER_MAX(BUFFER_BYTES);
    r->options.stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    pthread_mutex_init(&r->lock, NULL);
    cond_init_monotonic(&r->room);
    if (r->options.stop_fd >= 0) {
        pthread_detach(thread_start(q->name, serve_request, r));
        return;
    }
    /* Without it nobody could end the log. */
    http_reply(x, 503, "text/plain", STR("no descriptor is left\n"));
    count_answered(r);
    request_free(r);
}

static void answer_call(struct http_exchange *x, void *arg)
{
    struct logs *l = arg;
    struct str uid;
    struct runtime_log_options options;

    if (str_is(http_path(x), "/healthz")) {
        http_reply(x, 200, "text/plain", STR("ok"));
        return;
    }
    const struct question *q = find_question(x, &uid);
    if (q == NULL) {
        http_reply(x, 404, "text/plain", STR("not found\n"));
        return;
    }
    if (parse_options(x, &options) < 0) {
        http_reply(x, 400, "text/plain", STR("tailLines: a number of lines\n"));
        return;
    }
    if (!take_request_place(l)) {
        http_reply(x, 429, "text/plain", STR("too many logs are being read\n"));
        return;
    }
    begin_request(l, x, uid, q, options);
}

struct logs *logs_start(int listen_fd, uid_t server_uid, struct runtime *runtime, struct error **err)
{
    struct logs *l = xcalloc(1, sizeof(*l));
    struct http_options o = {.listen_fd = listen_fd,
                             .role = HTTP_LOGS,
                             .peer_uid = server_uid,
                             .max_connections = 2 * MAX_REQUESTS,
                             .max_body = 1024,
                             .idle_seconds = IDLE_SECONDS};

    l->runtime = runtime;
    pthread_mutex_init(&l->lock, NULL);
    cond_init_monotonic(&l->less);
    l->server = http_server_start(&o, answer_call, l, err);
    if (l->server)
        return l;
    pthread_cond_destroy(&l->less);
    pthread_mutex_destroy(&l->lock);
    free(l);
    return NULL;
}

void logs_stop(struct logs *l)
{
    if (l == NULL)
        return;
    /* What is deferred is answered first: the server would answer it too. The engine's calls end at once by now. */
    pthread_mutex_lock(&l->lock);
    l->stopping = true;
    while (l->unanswered)
        pthread_cond_wait(&l->less, &l->lock);
    pthread_mutex_unlock(&l->lock);
    http_server_stop(l->server);
    pthread_mutex_lock(&l->lock);
    while (l->requests)
        pthread_cond_wait(&l->less, &l->lock);
    pthread_mutex_unlock(&l->lock);
    pthread_cond_destroy(&l->less);
    pthread_mutex_destroy(&l->lock);
    free(l);
}
