#include "server/presence.h"

#include <curl/curl.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/thread.h"
#include "server/hooks/device_status.h"

#define PERIOD_US INT64_C(2000000)
#define ANSWER_WITHIN_SECONDS 2L
/* Silent that often in a row: absent. A restart of the runner is shorter. */
#define SILENT_LIMIT 2

struct presence {
    struct store *store;
    char *socket;
    atomic_bool *present;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool ending;
    pthread_t thread;
};

static size_t ignore(char *p, size_t size, size_t count, void *arg)
{
    return size * count;
}

/* Any answer will do: it shows a living process behind the socket, which its parent holds open. */
static bool answers(CURL *curl, const char *socket)
{
    curl_easy_reset(curl);
    curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, socket);
    curl_easy_setopt(curl, CURLOPT_URL, "http://runner/healthz");
    curl_easy_setopt(curl, CURLOPT_TIMEOUT, ANSWER_WITHIN_SECONDS);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, ignore);
    return curl_easy_perform(curl) == CURLE_OK;
}

static void went_absent(struct presence *p)
{
    _cleanup_error_ struct error *err = NULL;

    log_warning("the runner does not answer on %s: nobody starts or stops environments", p->socket);
    if (store_run(p->store, device_runner_absent, NULL, &err) < 0)
        log_warning("cannot say so in the devices: %s", err->message);
}

static bool pause_or_end(struct presence *p)
{
    int64_t until = clock_monotonic_us() + PERIOD_US;
    LOCK_SCOPE(&p->lock);

    while (!p->ending && clock_monotonic_us() < until)
        cond_wait_until(&p->wake, &p->lock, until);
    return p->ending;
}

static void *run(void *arg)
{
    struct presence *p = arg;
    CURL *curl = curl_easy_init();
    unsigned silent = 0;

    if (curl == NULL)
        abort();
    do {
        bool was = atomic_load(p->present);
        silent = answers(curl, p->socket) ? 0 : silent + 1;
        bool is = silent == 0 || (was && silent < SILENT_LIMIT);
        atomic_store(p->present, is);
        if (is && !was)
            log_info("the runner is there");
        else if (!is && silent == SILENT_LIMIT)
            went_absent(p);
    } while (!pause_or_end(p));
    curl_easy_cleanup(curl);
    return NULL;
}

struct presence *presence_start(struct store *store, const char *logs_socket, atomic_bool *runner_present)
{
    struct presence *p = xcalloc(1, sizeof(*p));

    p->store = store;
    p->socket = xstrdup(logs_socket);
    p->present = runner_present;
    pthread_mutex_init(&p->lock, NULL);
    cond_init_monotonic(&p->wake);
    p->thread = thread_start("runner-presence", run, p);
    return p;
}

void presence_stop(struct presence *p)
{
    if (p == NULL)
        return;
    pthread_mutex_lock(&p->lock);
    p->ending = true;
    pthread_cond_signal(&p->wake);
    pthread_mutex_unlock(&p->lock);
    pthread_join(p->thread, NULL);
    pthread_cond_destroy(&p->wake);
    pthread_mutex_destroy(&p->lock);
    free(p->socket);
    free(p);
}
