#include "server/presence.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/log.h"
#include "base/thread.h"
#include "client/transport.h"
#include "server/hooks/device_status.h"

#define PERIOD_MS 2000
#define ANSWER_WITHIN_MS 2000
#define MAX_ANSWER 4096
/* Silent that often in a row: absent. A restart of the runner is shorter. */
#define SILENT_LIMIT 2

struct presence {
    struct store *store;
    struct transport *runner;
    atomic_bool *present;
    int stop_fd;
    pthread_t thread;
};

/* Any answer will do: it shows a living process behind the socket, which its parent holds open. */
static bool runner_answers(struct presence *p)
{
    _cleanup_answer_ struct answer answer = {0};
    const struct call call = {.method = "GET",
                              .path = "/healthz",
                              .timeout_ms = ANSWER_WITHIN_MS,
                              .stop_fd = p->stop_fd,
                              .max_body = MAX_ANSWER};

    return transport_call(p->runner, &call, &answer, NULL) == 0;
}

static void went_absent(struct presence *p)
{
    _cleanup_error_ struct error *err = NULL;

    log_warning("the runner does not answer: nobody starts or stops environments");
    if (store_run(p->store, device_runner_absent, NULL, &err) < 0)
        log_warning("cannot say so in the devices: %s", err->message);
}

static void *watch_runner(void *arg)
{
    struct presence *p = arg;
    unsigned silent = 0;

    do {
        bool was = atomic_load(p->present), answers = runner_answers(p);
        if (stop_said(p->stop_fd))
            break;
        silent = answers ? 0 : silent + 1;
        bool is = silent == 0 || (was && silent < SILENT_LIMIT);
        atomic_store(p->present, is);
        if (is && !was)
            log_info("the runner is there");
        else if (!is && silent == SILENT_LIMIT)
            went_absent(p);
    } while (!stop_wait(p->stop_fd, PERIOD_MS));
    return NULL;
}

struct presence *presence_start(struct store *store, const char *logs_socket, atomic_bool *runner_present)
{
    struct presence *p = xcalloc(1, sizeof(*p));

    p->store = store;
    p->runner = transport_new(&(struct transport_options){.socket = logs_socket, .url = "http://runner"});
    p->present = runner_present;
    p->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (p->stop_fd < 0)
        abort();
    p->thread = thread_start("runner-presence", watch_runner, p);
    return p;
}

void presence_stop(struct presence *p)
{
    if (p == NULL)
        return;
    eventfd_write(p->stop_fd, 1);
    pthread_join(p->thread, NULL);
    close(p->stop_fd);
    transport_free(p->runner);
    free(p);
}
