/* The engine by itself, through runtime.h alone: made, found, read, measured, ended. SOCKET DIRECTORY [docker]:
 * Docker's calls only. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/thread.h"
#include "client/transport.h"
#include "runner/engine/engine.h"
#include "runner/engine/place.h"

#define IMAGE "localhost/open-hydra/test-environment:latest"
#define HOST_ID_BASE 1879048192u
#define HOST_ID (HOST_ID_BASE + 65536u * 4000u)

struct seen {
    pthread_mutex_t lock;
    unsigned changes;
    bool up;
};

static void changed(void *arg, const char *device)
{
    struct seen *s = arg;
    LOCK_SCOPE(&s->lock);
    if (strcmp(device, "probe") == 0)
        s->changes++;
}

static void available(void *arg, bool up, const char *message)
{
    struct seen *s = arg;
    LOCK_SCOPE(&s->lock);
    s->up = up;
}

static void must(int rc, struct error *const *err, const char *what)
{
    if (rc >= 0)
        return;
    fprintf(stderr, "%s: %s\n", what, (*err)->message);
    exit(1);
}

static bool wait_changes(struct seen *s, unsigned least, int stop_fd)
{
    for (int i = 0; i < 500; i++) {
        pthread_mutex_lock(&s->lock);
        bool enough = s->changes >= least;
        pthread_mutex_unlock(&s->lock);
        if (enough)
            return true;
        stop_wait(stop_fd, 20);
    }
    return false;
}

static int collect(void *arg, struct str text)
{
    buffer_add(arg, text);
    return 0;
}

static void check_log(struct runtime *r, const char *id)
{
    struct error *err = NULL;
    struct runtime_log_options o = {.tail = RUNTIME_LOG_ALL, .stop_fd = -1};

    /* The first lines take a moment. */
    for (int i = 0; i < 200; i++) {
        _cleanup_buffer_ struct buffer text = BUFFER_MAX(65536);
        must(r->ops->logs(r, id, &o, collect, &text, &err), &err, "logs");
        if (text.p && strstr(text.p, "environment of ada\n"))
            return;
        usleep(20000);
    }
    fprintf(stderr, "no log\n");
    exit(1);
}

static void want_nothing(void *arg, struct map *ids)
{
}

int main(int argc, char **argv)
{
    struct error *err = NULL;
    struct seen seen = {.lock = PTHREAD_MUTEX_INITIALIZER};
    int stop_fd = eventfd(0, EFD_CLOEXEC);
    bool docker = argc > 3;
    _cleanup_free_ char *places = xasprintf("%s/env", argv[2]), *homes = xasprintf("%s/homes", argv[2]);
    const struct config config = {
        .workspace_path = homes, .host_id_base = HOST_ID_BASE, .host_id_size = 65536, .host_id_count = 5000};
    const struct runtime_port port = {.name = PORT_MAIN, .socket = "/run/open-hydra/environment.sock", .ready = "/"};
    const struct runtime_variable variables[] = {{"OPENHYDRA_SOCKET", "/run/open-hydra/environment.sock"},
                                                 {"OPENHYDRA_TOKEN", "secret token"},
                                                 {"OPENHYDRA_USER", "ada"}};
    const char *id = docker ? "aaaa-docker" : "aaaa-podman", *reason = NULL;
    _cleanup_arena_ struct arena *a = arena_new();
    struct runtime_spec spec = {.device = "probe",
                                .instance = id,
                                .device_uid = "the-device",
                                .owner = "ada",
                                .sandbox = "plain",
                                .generation = 1,
                                .image = IMAGE,
                                .variables = variables,
                                .variables_len = 3,
                                .run_as = 1000,
                                .owner_id = HOST_ID,
                                .home = "/home/student",
                                .ports = &port,
                                .ports_len = 1,
                                .memory_bytes = 128 << 20,
                                .cpu_milli = 500,
                                .pids = 64,
                                .stop_seconds = 1};
    struct runtime *r = engine_new(&(struct engine_options){.socket = argv[1],
                                                            .directory = argv[2],
                                                            .installation = argv[2],
                                                            .stop_fd = stop_fd,
                                                            .docker_only = docker,
                                                            .config = &config,
                                                            .places = places,
                                                            .gateway_gid = getegid()});
    struct runtime_facts facts;
    struct instance i = {0}, *list;
    struct runtime_usage usage;
    struct runtime_image image;
    size_t n;

    must(place_prepare_root(places, getegid(), &err), &err, "places");
    assert(r->ops->facts(r, &facts, NULL) < 0); /* not found yet */
    r->ops->start(r, &(struct runtime_listener){.changed = changed, .available = available, .arg = &seen});
    for (int tries = 0; r->ops->facts(r, &facts, NULL) < 0; tries++) {
        assert(tries < 500);
        stop_wait(stop_fd, 20);
    }
    assert(facts.user_namespace == !docker);
    assert(facts.user_namespace || facts.user_namespace_why);
    must(r->ops->remove(r, id, 0, &err), &err, "remove nothing");
    assert(r->ops->inspect(r, id, &i, &err) < 0 && err->reason == REASON_NOT_FOUND);
    error_free(err);
    err = NULL;
    assert(r->ops->image_find(r, IMAGE, &image, &err) == 1);
    assert(r->ops->image_find(r, "localhost/open-hydra/none:such", &image, &err) == 0);

    must(r->ops->prepare(r, a, &spec, &reason, &err), &err, "prepare");
    must(r->ops->ensure(r, &spec, &i, &err), &err, "ensure");
    assert(i.endpoints_len == 1 && starts_with(i.endpoints[0].address, "unix:"));
    _cleanup_free_ char *address = xstrdup(i.endpoints[0].address);
    instance_clear(&i);
    must(r->ops->ensure(r, &spec, &i, &err), &err, "ensure again");
    instance_clear(&i);
    must(r->ops->inspect(r, id, &i, &err), &err, "inspect");
    assert(i.state == INSTANCE_RUNNING && strcmp(i.token, "secret token") == 0 && strcmp(i.device, "probe") == 0);
    assert(i.endpoints_len == 1 && strcmp(i.endpoints[0].address, address) == 0 && i.cut_off == NULL);
    assert(i.started_us > 0 && strcmp(i.id, id) == 0 && strcmp(i.device_uid, "the-device") == 0);
    assert(i.process.pid > 1 && i.process.fd >= 0 && i.process.own);
    instance_clear(&i);
    must(r->ops->list(r, &list, &n, &err), &err, "list");
    assert(n == 1 && strcmp(list[0].id, id) == 0);
    runtime_free_instances(list, n);
    check_log(r, id);
    must(r->ops->usage(r, id, &usage, &err), &err, "usage");
    assert(usage.memory_bytes > 0);
    struct stat st;
    const char *socket = address + strlen("unix:");
    assert(stat(socket, &st) == 0 && st.st_uid == HOST_ID + 1000);

    /* Events: that it was made and that it ended. */
    assert(wait_changes(&seen, 1, stop_fd));
    must(r->ops->remove(r, id, 1, &err), &err, "remove");
    must(r->ops->remove(r, id, 1, &err), &err, "remove again");
    assert(wait_changes(&seen, 2, stop_fd));
    assert(r->ops->inspect(r, id, &i, NULL) < 0 && stat(socket, &st) < 0);

    must(r->ops->prepare(r, a, &spec, &reason, &err), &err, "prepare anew");
    spec.image = "localhost/open-hydra/none:such";
    assert(r->ops->ensure(r, &spec, &i, &err) < 0 && err->reason == REASON_NOT_FOUND);
    error_free(err);
    err = NULL;
    must(r->ops->sweep(r, want_nothing, NULL, &err), &err, "sweep");
    char **left;
    assert(place_list(places, &left) == 0);
    uint64_t one = 1;
    assert(write(stop_fd, &one, sizeof(one)) == sizeof(one));
    r->ops->free(r);
    close(stop_fd);
    pthread_mutex_lock(&seen.lock);
    assert(seen.up);
    pthread_mutex_unlock(&seen.lock);
    printf("ok\n");
    return 0;
}
