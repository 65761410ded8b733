#include "runner/runner.h"

#include <fcntl.h>
#include <limits.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/io.h"
#include "base/log.h"
#include "kinds/names.h"
#include "runner/engine/engine.h"
#include "runner/engine/place.h"
#include "runner/environment/controller.h"
#include "runner/gpu/cdi.h"
#include "runner/host_status.h"
#include "runner/logs.h"
#include "runner/source/source.h"

#define TICK_MS 1000
#define STOP_GRACE_SECONDS 3
#define ENGINE_WAIT_MS 20000

/* Several installations may share an engine (tests beside a running one): each knows its own by its state directory. */
static char *installation_id(const struct config *c)
{
    char path[PATH_MAX], id[33];
    unsigned char hash[crypto_generichash_BYTES_MIN];
    const char *name = realpath(c->data, path) ? path : c->data;

    crypto_generichash(hash, sizeof(hash), (const unsigned char *)name, strlen(name), NULL, 0);
    sodium_bin2hex(id, sizeof(id), hash, sizeof(hash));
    return xstrdup(id);
}

static struct runtime *open_runtime(const struct runner_options *o, int stop_fd)
{
    _cleanup_free_ char *id = installation_id(o->config);
    /* A service of our own is nobody else's: its folder is closed to server and gateway. */
    _cleanup_free_ char *directory = xasprintf("%s/engine", o->config->runtime);
    return engine_new(&(struct engine_options){.socket = o->config->engine_socket,
                                               .directory = directory,
                                               .installation = id,
                                               .rootless = o->rootless,
                                               .stop_fd = stop_fd,
                                               .config = o->config,
                                               .places = o->environments,
                                               .gateway_gid = o->gateway_gid,
                                               .gpu_places = o->gpu_places});
}

int runner_run(const struct runner_options *o, int stop_fd, struct error **err)
{
    log_set_part("runner");
    if (o->logs_fd >= 0)
        fcntl(o->logs_fd, F_SETFD, FD_CLOEXEC);
    if (make_directory(o->config->runtime, 0711, err) < 0 ||
        place_prepare_root(o->environments, o->gateway_gid, err) < 0)
        return -1;

    struct client *client = client_new(&(struct client_options){
        .transport = {.socket = o->server_socket, .url = "http://server"}, .prefix = API_PREFIX, .stop_fd = stop_fd});
    struct runtime *runtime = open_runtime(o, stop_fd);
    struct logs *logs = o->logs_fd >= 0 ? logs_start(o->logs_fd, o->server_uid, runtime, err) : NULL;
    if (o->logs_fd >= 0 && logs == NULL) {
        runtime->ops->free(runtime);
        client_free(client);
        return -1;
    }
    struct controller *c = controller_start(&(struct controller_options){o->config, client, runtime});
    struct host_status *h = host_status_start(o->config, client, runtime);
    struct sources *sources = sources_start(o->config, client, o->server_socket);
    while (!stop_wait(stop_fd, TICK_MS))
        controller_tick(c);
    log_info("stopping; environments go on");
    logs_stop(logs);
    sources_stop(sources);
    host_status_stop(h);
    controller_stop(c);
    client_free(client);
    return 0;
}

/* --- Down --- */

static void ignore_device(void *arg, const char *device)
{
}

static void ignore_engine(void *arg, bool up, const char *message)
{
}

static int wait_for_engine(struct runtime *r, int stop_fd, struct error **err)
{
    struct runtime_facts facts;

    r->ops->start(r, &(struct runtime_listener){.changed = ignore_device, .available = ignore_engine});
    for (unsigned waited = 0; r->ops->facts(r, &facts, err) < 0; waited += 50)
        if (waited > ENGINE_WAIT_MS || stop_wait(stop_fd, 50))
            return -1;
    error_free(*err);
    *err = NULL;
    return 0;
}

struct runtime *runner_open_runtime(const struct runner_options *o, int end_fd, int stop_fd, struct error **err)
{
    uint64_t one = 1;

    if (make_directory(o->config->runtime, 0711, err) < 0)
        return NULL;
    struct runtime *r = open_runtime(o, end_fd);
    if (wait_for_engine(r, stop_fd, err) == 0)
        return r;
    ssize_t ignored _unused_ = write(end_fd, &one, sizeof(one));
    r->ops->free(r);
    return NULL;
}

static void say(const struct instance *i, const char *what)
{
    printf("%s of %s: %s\n", i->device, i->owner ? i->owner : "?", what);
    fflush(stdout);
}

static int remove_all(struct runtime *r, int stop_fd, struct error **err)
{
    struct instance *list;
    size_t n, left = 0;

    if (r->ops->list(r, &list, &n, err) < 0)
        return -1;
    for (size_t i = 0; i < n; i++) {
        _cleanup_error_ struct error *why = NULL;
        if (stop_said(stop_fd))
            left++;
        else if (r->ops->remove(r, list[i].id, STOP_GRACE_SECONDS, &why) == 0)
            say(&list[i], "removed");
        else {
            say(&list[i], why->message);
            left++;
        }
    }
    if (n == 0)
        printf("no environments are running\n");
    runtime_free_instances(list, n);
    return left ? error_set(err, REASON_INTERNAL, "%zu environments are left", left) : 0;
}

static void want_nothing(void *arg, struct map *ids)
{
}

/* What told the engine of them. */
static void forget_gpus(const struct runner_options *o)
{
    struct gpu_places places = gpu_places_or_default(o->gpu_places);
    _cleanup_free_ char *id = installation_id(o->config);
    cdi_remove(places.cdi_own, id);
}

int runner_down(const struct runner_options *o, int stop_fd, struct error **err)
{
    struct error *why = NULL;
    uint64_t one = 1;

    if (make_directory(o->config->runtime, 0711, err) < 0)
        return -1;
    /* The engine's thread ends with the work, not with the caller's descriptor. */
    _cleanup_close_ int end_fd = eventfd(0, EFD_CLOEXEC);
    struct runtime *r = open_runtime(o, end_fd);
    int rc = wait_for_engine(r, stop_fd, &why);
    if (rc == 0)
        rc = remove_all(r, stop_fd, &why);
    if (rc == 0)
        rc = r->ops->sweep(r, want_nothing, NULL, &why);
    if (rc == 0)
        forget_gpus(o);
    ssize_t ignored _unused_ = write(end_fd, &one, sizeof(one));
    r->ops->free(r);
    if (rc < 0)
        error_set(err, why->reason, "%s", why->message);
    error_free(why);
    return rc;
}
