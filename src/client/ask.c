#include "client/ask.h"

#include <curl/curl.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/alloc.h"
#include "base/io.h"
#include "client/transport.h"

#define LONGEST_POLL_MS 60000

/* Where the status is all that is wanted, nothing of it. */
static size_t take_body(char *p, size_t size, size_t n, void *arg)
{
    const struct question *q = arg;

    if (q->body == NULL || q->body->n + size * n > q->body->max)
        return CURL_WRITEFUNC_ERROR;
    buffer_append(q->body, p, size * n);
    return size * n;
}

const char *address_socket(const char *address)
{
    return starts_with(address, "unix:") ? address + strlen("unix:") : NULL;
}

/* `headers` is freed after the call. */
static CURL *put_question(struct question *q, unsigned timeout_ms, struct curl_slist **headers)
{
    CURL *easy = curl_easy_init();
    const char *socket = address_socket(q->address);
    _cleanup_free_ char *url = xasprintf("%s%s", socket ? "http://localhost" : q->address, q->path);

    if (easy == NULL)
        abort();
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_PROXY, "");
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
    if (socket)
        curl_easy_setopt(easy, CURLOPT_UNIX_SOCKET_PATH, socket);
    curl_easy_setopt(easy, CURLOPT_URL, url);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)timeout_ms);
    curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, 1L);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, q);
    *headers = q->header ? curl_slist_append(NULL, q->header) : NULL;
    if (*headers)
        curl_easy_setopt(easy, CURLOPT_HTTPHEADER, *headers);
    curl_easy_setopt(easy, CURLOPT_PRIVATE, q);
    return easy;
}

/* By the system's own word: libcurl's differs with its version where the queue of a hung listener is full. */
static bool refuses(const char *path)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    _cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0 || strlen(path) >= sizeof(a.sun_path))
        return false;
    memcpy(a.sun_path, path, strlen(path) + 1);
    return connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0 &&
           (errno == ECONNREFUSED || errno == ENOENT || errno == ELOOP);
}

static bool is_closed(const struct question *q, CURLcode code)
{
    const char *socket = address_socket(q->address);
    return socket ? refuses(socket) : code == CURLE_COULDNT_CONNECT;
}

static void judge_answer(CURL *easy, CURLcode code)
{
    struct question *q;
    long status = 0;

    curl_easy_getinfo(easy, CURLINFO_PRIVATE, &q);
    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
    q->status = (unsigned)status;
    /* Where somebody listens and hangs, each further connection would only wait in its queue. */
    bool answered = status && (q->body == NULL || code == CURLE_OK);
    q->outcome = answered                                                 ? ASK_ANSWERED
                 : code != CURLE_OPERATION_TIMEDOUT && is_closed(q, code) ? ASK_CLOSED
                                                                          : ASK_SILENT;
}

static void drive(CURLM *multi, int stop_fd)
{
    struct curl_waitfd stop = {.fd = stop_fd, .events = CURL_WAIT_POLLIN};
    int running = 1;

    while (curl_multi_perform(multi, &running) == CURLM_OK && running) {
        curl_multi_poll(multi, &stop, stop_fd >= 0 ? 1 : 0, LONGEST_POLL_MS, NULL);
        if (stop_fd >= 0 && stop_said(stop_fd))
            return;
    }
}

void transport_ask(struct question *questions, size_t n, unsigned timeout_ms, int stop_fd)
{
    transport_init();
    CURLM *multi = curl_multi_init();
    CURL **easy = xcalloc(n + 1, sizeof(*easy));
    struct curl_slist **headers = xcalloc(n + 1, sizeof(struct curl_slist *));
    CURLMsg *m;
    int left;

    if (multi == NULL)
        abort();
    for (size_t i = 0; i < n; i++) {
        questions[i].outcome = ASK_STOPPED;
        questions[i].status = 0;
        easy[i] = put_question(&questions[i], timeout_ms, &headers[i]);
        curl_multi_add_handle(multi, easy[i]);
    }
    drive(multi, stop_fd);
    while ((m = curl_multi_info_read(multi, &left)))
        if (m->msg == CURLMSG_DONE)
            judge_answer(m->easy_handle, m->data.result);
    for (size_t i = 0; i < n; i++) {
        curl_multi_remove_handle(multi, easy[i]);
        curl_easy_cleanup(easy[i]);
        curl_slist_free_all(headers[i]);
    }
    curl_multi_cleanup(multi);
    free(headers);
    free(easy);
}
