#include "runner/source/source.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/log.h"
#include "base/map.h"
#include "base/thread.h"
#include "client/informer.h"
#include "kinds/device.h"
#include "kinds/names.h"
#include "runner/source/fetch.h"
#include "runner/source/send.h"

#define LOOK_MS 1000
#define SAY_EVERY_US INT64_C(2000000)
#define RETRY_FIRST_US (INT64_C(60) * 1000000)
#define RETRY_LONGEST_US (INT64_C(3600) * 1000000)
#define SERVER_AWAY_US (INT64_C(5) * 1000000)

struct kind_of_content {
    const char *plural;
    struct informer *informer;
};

struct sources {
    const struct config *config;
    struct client *client;
    struct transport *server;
    pthread_t thread;
    struct kind_of_content kinds[2];
    struct map *failures; /* «uid text» → struct failure */
    struct map *done;     /* uid → text: the copy of the objects comes later */
    char *folder;
};

struct failure {
    int64_t not_before_us, pause_us;
};

/* One that is fetched now. */
struct job {
    struct sources *sources;
    const char *plural, *name, *uid;
    struct wanted wanted;
    struct form form;
    int64_t said_us;
};

/* --- What is said of it --- */

struct news {
    const char *text, *phase, *progress, *message, *commit;
};

static void fill_status(yyjson_val *object, yyjson_mut_doc *doc, yyjson_mut_val *status, void *arg)
{
    const struct news *n = arg;
    yyjson_mut_val *source = json_mut_make_obj(doc, status, "source");
    char now[TIMESTAMP_SIZE];

    timestamp(now, clock_realtime_us());
    json_mut_set_str(doc, source, "of", n->text);
    json_mut_set_str(doc, source, "phase", n->phase);
    /* A merge patch: null takes away. */
    json_mut_set(doc, source, "progress", n->progress ? yyjson_mut_strcpy(doc, n->progress) : yyjson_mut_null(doc));
    json_mut_set(doc, source, "message", n->message ? yyjson_mut_strcpy(doc, n->message) : yyjson_mut_null(doc));
    if (streq(n->phase, "Ready"))
        json_mut_set_str(doc, source, "fetched", now);
    if (streq(n->phase, "Ready"))
        json_mut_set(doc, source, "commit", n->commit ? yyjson_mut_strcpy(doc, n->commit) : yyjson_mut_null(doc));
}

static void say(const struct job *j, const char *phase, const char *progress, const char *message, const char *commit)
{
    const struct object_ref ref = {j->plural, j->name, j->uid};
    struct news news = {j->wanted.text, phase, progress, message, commit};
    _cleanup_error_ struct error *err = NULL;

    if (client_patch_status(j->sources->client, &ref, NULL, fill_status, &news, NULL, &err) < 0 &&
        err->reason != REASON_NOT_FOUND && err->reason != REASON_SERVICE_UNAVAILABLE)
        log_warning("%s/%s: %s", j->plural, j->name, err->message);
}

static void on_progress(void *arg, uint64_t bytes)
{
    struct job *j = arg;
    int64_t now = clock_monotonic_us();

    if (now - j->said_us < SAY_EVERY_US)
        return;
    j->said_us = now;
    _cleanup_free_ char *text = xasprintf("%.1f MiB", (double)bytes / 1048576);
    say(j, "Fetching", text, NULL, NULL);
}

/* --- One content --- */

static uint64_t max_bytes(const struct job *j)
{
    const struct config *c = j->sources->config;
    return streq(j->plural, PLURAL_COURSES) ? c->course_max_bytes : c->dataset_max_bytes;
}

/* Nobody else's, and gone with its descriptor. */
static int open_file(const struct sources *s, struct error **err)
{
    int fd = open(s->config->data, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    return fd < 0 ? error_errno(err, errno, "make a file in %s", s->config->data) : fd;
}

static int fetch_into(struct job *j, int file, struct fetched *out, struct error **err)
{
    const struct fetch f = {.config = j->sources->config,
                            .wanted = &j->wanted,
                            .folder = j->sources->folder,
                            .max_bytes = max_bytes(j),
                            .stop_fd = client_stop_fd(j->sources->client),
                            .progress = on_progress,
                            .arg = j};

    if (form_begin(&j->form, file, j->wanted.file_name, err) < 0 || fetch_run(&f, file, out, err) < 0)
        return -1;
    return form_end(&j->form, err);
}

static int fetch_and_send(struct job *j, struct fetched *out, struct error **err)
{
    _cleanup_free_ char *path = xasprintf(API_PREFIX "/%s/%s", j->plural, j->name);

    if (wanted_check(j->sources->config, &j->wanted, err) < 0)
        return -1;
    _cleanup_close_ int file = open_file(j->sources, err);
    if (file < 0)
        return -1;
    say(j, "Fetching", NULL, NULL, NULL);
    if (fetch_into(j, file, out, err) < 0)
        return -1;
    return form_send(&j->form, j->sources->server, path, client_stop_fd(j->sources->client), err);
}

/* --- Again, later --- */

static char *failure_key(const struct job *j)
{
    return xasprintf("%s %s", j->uid, j->wanted.text);
}

static bool is_due(const struct job *j)
{
    _cleanup_free_ char *key = failure_key(j);
    const struct failure *f = map_get(j->sources->failures, str_from(key));

    return f == NULL || clock_monotonic_us() >= f->not_before_us;
}

static void note_failure(const struct job *j, const struct error *why)
{
    _cleanup_free_ char *key = failure_key(j);
    struct failure *f = map_get(j->sources->failures, str_from(key));
    bool away = why->reason == REASON_SERVICE_UNAVAILABLE;

    if (f == NULL) {
        f = xcalloc(1, sizeof(*f));
        map_set(j->sources->failures, str_from(key), f);
    }
    f->pause_us = away ? SERVER_AWAY_US : f->pause_us < RETRY_FIRST_US ? RETRY_FIRST_US : 2 * f->pause_us;
    if (f->pause_us > RETRY_LONGEST_US)
        f->pause_us = RETRY_LONGEST_US;
    f->not_before_us = clock_monotonic_us() + f->pause_us;
}

static void forget_failure(const struct job *j)
{
    _cleanup_free_ char *key = failure_key(j);
    free(map_remove(j->sources->failures, str_from(key)));
}

static void run_job(struct job *j)
{
    _cleanup_error_ struct error *err = NULL;
    struct fetched got = {0};

    if (fetch_and_send(j, &got, &err) == 0) {
        forget_failure(j);
        free(map_set(j->sources->done, str_from(j->uid), xstrdup(j->wanted.text)));
        return say(j, "Ready", NULL, NULL, got.commit[0] ? got.commit : NULL);
    }
    if (stop_said(client_stop_fd(j->sources->client)) || err->reason == REASON_NOT_FOUND)
        return;
    note_failure(j, err);
    log_warning("%s/%s: %s", j->plural, j->name, err->message);
    say(j, "Failed", NULL, err->message, NULL);
}

/* --- All of them --- */

static bool is_done(const struct job *j, yyjson_val *object)
{
    if (streq(map_get(j->sources->done, str_from(j->uid)), j->wanted.text))
        return true;
    return streq(json_str_at(object, "status.source.of"), j->wanted.text) &&
           streq(json_str_at(object, "status.source.phase"), "Ready");
}

static void look_at(struct sources *s, const char *plural, yyjson_val *object)
{
    _cleanup_arena_ struct arena *a = arena_new();
    struct job j = {.sources = s,
                    .plural = plural,
                    .name = json_str_at(object, "metadata.name"),
                    .uid = json_str_at(object, "metadata.uid")};

    wanted_read(a, object, &j.wanted);
    if (j.wanted.type == SOURCE_UPLOAD || j.name == NULL || j.uid == NULL || !is_dns_subdomain(str_from(j.name)) ||
        json_at(object, "metadata.deletionTimestamp") || is_done(&j, object) || !is_due(&j))
        return;
    run_job(&j);
}

static void look_at_all(struct sources *s, struct kind_of_content *k)
{
    struct cached **all = NULL;
    size_t n = informer_synced(k->informer) ? informer_all(k->informer, &all) : 0;

    for (size_t i = 0; i < n; i++) {
        if (!stop_said(client_stop_fd(s->client)))
            look_at(s, k->plural, all[i]->object);
        cached_unref(all[i]);
    }
    free(all); /* there is one of nothing as well */
}

static void *fetch_all(void *arg)
{
    struct sources *s = arg;

    while (!stop_wait(client_stop_fd(s->client), LOOK_MS))
        for (size_t i = 0; i < ARRAY_SIZE(s->kinds); i++)
            look_at_all(s, &s->kinds[i]);
    return NULL;
}

static void ignore_name(void *arg, const char *name)
{
}

static void ignore(void *arg)
{
}

struct sources *sources_start(const struct config *config, struct client *client, const char *server_socket)
{
    static const char *const plurals[] = {PLURAL_DATASETS, PLURAL_COURSES};
    struct sources *s = xcalloc(1, sizeof(*s));

    s->config = config;
    s->client = client;
    s->server = transport_new(&(struct transport_options){.socket = server_socket, .url = "http://server"});
    s->failures = map_new();
    s->done = map_new();
    s->folder = xasprintf("%s/fetch", config->data);
    for (size_t i = 0; i < ARRAY_SIZE(plurals); i++) {
        s->kinds[i].plural = plurals[i];
        s->kinds[i].informer = informer_new(&(struct informer_options){
            .client = client, .plural = plurals[i], .changed = ignore_name, .connected = ignore, .lost = ignore_name});
        informer_start(s->kinds[i].informer);
    }
    s->thread = thread_start("sources", fetch_all, s);
    return s;
}

void sources_stop(struct sources *s)
{
    pthread_join(s->thread, NULL);
    for (size_t i = 0; i < ARRAY_SIZE(s->kinds); i++)
        informer_free(s->kinds[i].informer);
    transport_free(s->server);
    map_free(s->failures, free);
    map_free(s->done, free);
    free(s->folder);
    free(s);
}
