#include "client/transport.h"

#include <curl/curl.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/thread.h"

#define DEFAULT_MAX_BODY (16u << 20)
#define MAX_IDLE_CHANNELS 8
#define LONGEST_POLL_MS 60000

/* A multi handle owns the kept connection, so both halves stay together. */
struct channel {
    CURLM *multi;
    CURL *easy;
    struct channel *next;
};

struct transport {
    char *socket, *url, *ca_file, *certificate_file, *key_file, *authorization;
    pthread_mutex_t lock;
    struct channel *idle;
    unsigned idle_len;
};

struct transfer {
    const struct call *call;
    struct answer *answer;
    CURL *easy;
    bool ended_by_receiver;
    char reason[CURL_ERROR_SIZE];
};

static pthread_once_t curl_once = PTHREAD_ONCE_INIT;

static void init_curl(void)
{
    curl_global_init(CURL_GLOBAL_DEFAULT);
}

void transport_init(void)
{
    pthread_once(&curl_once, init_curl);
}

struct transport *transport_new(const struct transport_options *options)
{
    transport_init();
    struct transport *t = xcalloc(1, sizeof(*t));
    t->socket = xstrdup_or_null(options->socket);
    t->url = xstrdup_or_null(options->url);
    t->ca_file = xstrdup_or_null(options->ca_file);
    t->certificate_file = xstrdup_or_null(options->certificate_file);
    t->key_file = xstrdup_or_null(options->key_file);
    if (options->token)
        t->authorization = xasprintf("Authorization: Bearer %s", options->token);
    pthread_mutex_init(&t->lock, NULL);
    return t;
}

static void channel_free(struct channel *c)
{
    curl_multi_cleanup(c->multi);
    curl_easy_cleanup(c->easy);
    free(c);
}

void transport_free(struct transport *t)
{
    if (t == NULL)
        return;
    for (struct channel *c = t->idle, *next; c; c = next) {
        next = c->next;
        channel_free(c);
    }
    pthread_mutex_destroy(&t->lock);
    free(t->socket);
    free(t->url);
    free(t->ca_file);
    free(t->certificate_file);
    free(t->key_file);
    free(t->authorization);
    free(t);
}

static struct channel *channel_take(struct transport *t)
{
    {
        LOCK_SCOPE(&t->lock);
        struct channel *c = t->idle;
        if (c) {
            t->idle = c->next;
            t->idle_len--;
            return c;
        }
    }
    struct channel *c = xcalloc(1, sizeof(*c));
    c->multi = curl_multi_init();
    c->easy = curl_easy_init();
    if (c->multi == NULL || c->easy == NULL)
        abort();
    return c;
}

static void channel_give(struct transport *t, struct channel *c, bool usable)
{
    if (usable) {
        LOCK_SCOPE(&t->lock);
        if (t->idle_len < MAX_IDLE_CHANNELS) {
            c->next = t->idle;
            t->idle = c;
            t->idle_len++;
            return;
        }
    }
    channel_free(c);
}

static size_t on_body(char *p, size_t size, size_t n, void *arg)
{
    struct transfer *f = arg;
    struct str piece = {p, size * n};
    long status = 0;

    if (f->call->receive) {
        curl_easy_getinfo(f->easy, CURLINFO_RESPONSE_CODE, &status);
        if (status / 100 == 2) {
            if (f->call->receive(f->call->arg, piece) >= 0)
                return piece.n;
            f->ended_by_receiver = true;
            return CURL_WRITEFUNC_ERROR;
        }
    }
    buffer_add(&f->answer->body, piece);
    return f->answer->body.overflow ? CURL_WRITEFUNC_ERROR : piece.n;
}

static size_t on_header(char *p, size_t size, size_t n, void *arg)
{
    struct transfer *f = arg;
    long status = 0;

    if (size * n > 5 && memcmp(p, "HTTP/", 5) == 0) {
        curl_easy_getinfo(f->easy, CURLINFO_RESPONSE_CODE, &status);
        f->call->begun(f->call->arg, (unsigned)status);
    }
    return size * n;
}

static int on_sent(void *arg, curl_off_t down_total, curl_off_t down, curl_off_t up_total, curl_off_t up)
{
    const struct transfer *f = arg;

    f->call->sent(f->call->arg, (uint64_t)up);
    return 0;
}

static void set_tls(const struct transport *t, CURL *easy)
{
    if (t->ca_file)
        curl_easy_setopt(easy, CURLOPT_CAINFO, t->ca_file);
    if (t->certificate_file)
        curl_easy_setopt(easy, CURLOPT_SSLCERT, t->certificate_file);
    if (t->key_file)
        curl_easy_setopt(easy, CURLOPT_SSLKEY, t->key_file);
}

/* Returns the header list, which must outlive the transfer. */
static struct curl_slist *set_request(const struct transport *t, struct transfer *f)
{
    const struct call *c = f->call;
    struct curl_slist *headers = curl_slist_append(NULL, "Expect:");
    _cleanup_free_ char *url = xasprintf("%s%s", t->url, c->path);

    if (c->content_type) {
        _cleanup_free_ char *type = xasprintf("Content-Type: %s", c->content_type);
        headers = curl_slist_append(headers, type);
    }
    if (c->header)
        headers = curl_slist_append(headers, c->header);
    if (t->authorization)
        headers = curl_slist_append(headers, t->authorization);
    curl_easy_setopt(f->easy, CURLOPT_URL, url);
    if (c->body.p || strcmp(c->method, "POST") == 0) {
        curl_easy_setopt(f->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)c->body.n);
        curl_easy_setopt(f->easy, CURLOPT_POSTFIELDS, c->body.p ? c->body.p : "");
    } else if (strcmp(c->method, "HEAD") == 0) {
        curl_easy_setopt(f->easy, CURLOPT_NOBODY, 1L);
    }
    curl_easy_setopt(f->easy, CURLOPT_CUSTOMREQUEST, c->method);
    curl_easy_setopt(f->easy, CURLOPT_HTTPHEADER, headers);
    return headers;
}

static struct curl_slist *prepare(const struct transport *t, struct transfer *f)
{
    curl_easy_reset(f->easy);
    curl_easy_setopt(f->easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(f->easy, CURLOPT_PROXY, "");
    curl_easy_setopt(f->easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(f->easy, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(f->easy, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(f->easy, CURLOPT_ERRORBUFFER, f->reason);
    curl_easy_setopt(f->easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(f->easy, CURLOPT_WRITEDATA, f);
    if (f->call->sent) {
        curl_easy_setopt(f->easy, CURLOPT_NOPROGRESS, 0L);
        curl_easy_setopt(f->easy, CURLOPT_XFERINFOFUNCTION, on_sent);
        curl_easy_setopt(f->easy, CURLOPT_XFERINFODATA, f);
    }
    if (f->call->silence_s) {
        curl_easy_setopt(f->easy, CURLOPT_LOW_SPEED_LIMIT, 1L);
        curl_easy_setopt(f->easy, CURLOPT_LOW_SPEED_TIME, (long)f->call->silence_s);
    }
    if (f->call->begun) {
        curl_easy_setopt(f->easy, CURLOPT_HEADERFUNCTION, on_header);
        curl_easy_setopt(f->easy, CURLOPT_HEADERDATA, f);
    }
    if (t->socket)
        curl_easy_setopt(f->easy, CURLOPT_UNIX_SOCKET_PATH, t->socket);
    set_tls(t, f->easy);
    return set_request(t, f);
}

enum ending { ENDED, ENDED_LATE, ENDED_BY_STOP };

static enum ending drive(CURLM *multi, const struct call *c)
{
    int64_t deadline = c->timeout_ms ? clock_monotonic_us() + (int64_t)c->timeout_ms * 1000 : INT64_MAX;
    struct curl_waitfd stop = {.fd = c->stop_fd, .events = CURL_WAIT_POLLIN};
    int running = 1;

    for (;;) {
        if (curl_multi_perform(multi, &running) != CURLM_OK || running == 0)
            return ENDED;
        int64_t left = (deadline - clock_monotonic_us() + 999) / 1000;
        if (left <= 0)
            return ENDED_LATE;
        stop.revents = 0;
        curl_multi_poll(multi, &stop, c->stop_fd >= 0 ? 1 : 0, (int)(left < LONGEST_POLL_MS ? left : LONGEST_POLL_MS),
                        NULL);
        /* Not by revents alone: a pipe's other end that was closed shows as a hang-up, which libcurl does not report.
         */
        if (c->stop_fd >= 0 && stop_said(c->stop_fd))
            return ENDED_BY_STOP;
    }
}

static CURLcode result_of(CURLM *multi)
{
    int left;
    CURLMsg *m;
    while ((m = curl_multi_info_read(multi, &left)))
        if (m->msg == CURLMSG_DONE)
            return m->data.result;
    return CURLE_RECV_ERROR;
}

static int failure(const struct transport *t, const struct transfer *f, CURLcode rc, struct error **err)
{
    const char *peer = t->socket ? t->socket : t->url;

    if (f->answer->body.overflow)
        return error_set(err, REASON_INTERNAL, "%s %s: the answer is larger than %zu bytes", f->call->method,
                         f->call->path, f->answer->body.max);
    return error_set(err, REASON_SERVICE_UNAVAILABLE, "%s: %s", peer,
                     f->reason[0] ? f->reason : curl_easy_strerror(rc));
}

int transport_call(struct transport *t, const struct call *c, struct answer *out, struct error **err)
{
    struct channel *channel = channel_take(t);
    struct transfer f = {.call = c, .answer = out, .easy = channel->easy};
    int rc = 0;

    buffer_free(&out->body);
    out->body.max = c->max_body ? c->max_body : DEFAULT_MAX_BODY;
    struct curl_slist *headers = prepare(t, &f);
    curl_multi_add_handle(channel->multi, channel->easy);
    enum ending ending = drive(channel->multi, c);
    CURLcode code = ending == ENDED ? result_of(channel->multi) : CURLE_OK;
    long status = 0;
    curl_easy_getinfo(channel->easy, CURLINFO_RESPONSE_CODE, &status);
    out->status = (unsigned)status;
    curl_multi_remove_handle(channel->multi, channel->easy);

    if (ending == ENDED_LATE)
        rc = error_set(err, REASON_TIMEOUT, "%s %s: no answer within %u ms", c->method, c->path, c->timeout_ms);
    else if (ending == ENDED_BY_STOP)
        rc = error_set(err, REASON_SERVICE_UNAVAILABLE, "%s %s: stopped", c->method, c->path);
    else if (code != CURLE_OK && !f.ended_by_receiver)
        rc = failure(t, &f, code, err);
    curl_slist_free_all(headers);
    channel_give(t, channel, ending == ENDED && code == CURLE_OK);
    return rc;
}

bool stop_wait(int stop_fd, unsigned ms)
{
    int64_t deadline = clock_monotonic_us() + (int64_t)ms * 1000;
    struct pollfd p = {.fd = stop_fd, .events = POLLIN};

    for (;;) {
        int64_t left = (deadline - clock_monotonic_us() + 999) / 1000;
        int n = poll(&p, 1, left > 0 ? (int)left : 0);
        if (n > 0)
            return true;
        if (n == 0)
            return false;
    }
}

bool stop_said(int stop_fd)
{
    return stop_wait(stop_fd, 0);
}
