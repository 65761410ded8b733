#include "runner/environment/controller.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/thread.h"
#include "kinds/names.h"
#include "runner/environment/environment.h"
#include "runner/environment/reconcile.h"
#include "runner/environment/storage.h"
#include "runner/environment/sweep.h"

struct controller {
    struct environments all;
    pthread_t workers[WORKERS];
};

/* --- What it is told --- */

static void device_changed(void *arg, const char *name)
{
    struct environments *es = arg;
    queue_add(es->queue, name);
}

static void queue_all_devices(struct environments *es, bool look)
{
    struct cached **list;
    size_t n = informer_all(es->devices, &list);

    for (size_t i = 0; i < n; i++) {
        const char *name = json_str_at(list[i]->object, "metadata.name");
        if (look)
            environment_ask_look(es, name);
        queue_add(es->queue, name);
        cached_unref(list[i]);
    }
    free(list);
}

static void server_connected(void *arg)
{
    environments_note_server(arg);
    queue_all_devices(arg, false);
}

static void server_lost(void *arg, const char *message)
{
}

static void sandbox_changed(void *arg, const char *name)
{
    struct environments *es = arg;
    catalogue_sandbox_changed(es->catalogue, name);
}

static void sandboxes_connected(void *arg)
{
    struct environments *es = arg;
    catalogue_look_at_all(es->catalogue);
}

static void catalogue_renewed(void *arg)
{
    queue_all_devices(arg, false);
}

static void image_changed(void *arg, const char *reference, bool soon)
{
    struct environments *es = arg;
    catalogue_image_changed(es->catalogue, reference, soon);
}

static void image_credentials(void *arg, const char *sandbox, char **username, char **password)
{
    struct environments *es = arg;
    catalogue_credentials(es->catalogue, sandbox, username, password);
}

static void container_changed(void *arg, const char *device)
{
    struct environments *es = arg;

    if (environment_ask_look(es, device))
        queue_add(es->queue, device);
}

static void engine_available(void *arg, bool up, const char *message)
{
    struct environments *es = arg;

    environments_note_engine(es, up, message);
    queue_all_devices(es, up);
    if (up)
        catalogue_look_at_all(es->catalogue);
}

static void gpus_changed(void *arg)
{
    struct environments *es = arg;
    struct cached **list;
    size_t n = informer_all(es->devices, &list);

    for (size_t i = 0; i < n; i++) {
        if (yyjson_arr_size(json_at(list[i]->object, "status.gpus")))
            queue_add(es->queue, json_str_at(list[i]->object, "metadata.name"));
        cached_unref(list[i]);
    }
    free(list);
}

static void home_changed(void *arg, const char *device)
{
    struct environments *es = arg;
    queue_add(es->queue, device);
}

/* --- Life --- */

static void *work_on_queue(void *arg)
{
    struct environments *es = arg;
    const char *name;

    while ((name = queue_take(es->queue))) {
        reconcile(es, name);
        queue_done(es->queue, name);
    }
    return NULL;
}

static unsigned processors(void)
{
    long n = sysconf(_SC_NPROCESSORS_ONLN);
    return n > 0 ? (unsigned)n : 1;
}

static void make_parts(struct environments *es)
{
    unsigned at_once = limits.starts_at_once ? limits.starts_at_once : processors() + 1;

    es->queue = queue_new();
    es->turns = turns_new(at_once, limits.turn_seconds, es->queue);
    es->pulses = pulses_new(&(struct pulses_options){client_stop_fd(es->client), container_changed, es});
    es->activities = activities_new(
        &(struct activities_options){client_stop_fd(es->client), es->client, es->runtime, device_changed, es});
    es->devices = informer_new(
        &(struct informer_options){es->client, PLURAL_DEVICES, device_changed, server_connected, server_lost, es});
    es->sandboxes = informer_new(&(struct informer_options){es->client, PLURAL_SANDBOXES, sandbox_changed,
                                                            sandboxes_connected, server_lost, es});
    es->images = images_new(
        &(struct images_options){es->config, es->runtime, image_changed, device_changed, image_credentials, es});
    es->catalogue = catalogue_new(
        &(struct catalogue_options){es->config, es->client, es->sandboxes, es->images, catalogue_renewed, es});
    es->storage = storage_new(&(struct storage_options){es->runtime, client_stop_fd(es->client), home_changed, es});
}

struct controller *controller_start(const struct controller_options *options)
{
    struct controller *c = xcalloc(1, sizeof(*c));
    struct environments *es = &c->all;

    *es = (struct environments){.config = options->config, .client = options->client, .runtime = options->runtime};
    environments_init(es);
    make_parts(es);
    /* All are known before any begins to call. */
    informer_start(es->sandboxes);
    informer_start(es->devices);
    es->runtime->ops->start(es->runtime, &(struct runtime_listener){.changed = container_changed,
                                                                    .available = engine_available,
                                                                    .gpus_changed = gpus_changed,
                                                                    .arg = es});
    for (size_t i = 0; i < WORKERS; i++)
        c->workers[i] = thread_start("environment", work_on_queue, es);
    images_start(es->images);
    catalogue_start(es->catalogue);
    pulses_start(es->pulses);
    activities_start(es->activities);
    storage_start(es->storage);
    return c;
}

struct environments *controller_environments(struct controller *c)
{
    return &c->all;
}

void controller_tick(struct controller *c)
{
    struct environments *es = &c->all;

    if (!informer_synced(es->devices) || !environments_take_sweep(es, clock_monotonic_us()))
        return;
    sweep(es);
    queue_all_devices(es, true);
}

void controller_stop(struct controller *c)
{
    struct environments *es = &c->all;

    queue_shut(es->queue);
    for (size_t i = 0; i < WORKERS; i++)
        pthread_join(c->workers[i], NULL);
    activities_stop(es->activities); /* it asks the runtime */
    catalogue_stop(es->catalogue);
    images_stop(es->images);
    storage_stop(es->storage);
    /* Its threads call us, and ask for devices. */
    es->runtime->ops->free(es->runtime);
    pulses_free(es->pulses);
    activities_free(es->activities);
    informer_free(es->sandboxes);
    informer_free(es->devices);
    catalogue_free(es->catalogue);
    images_free(es->images);
    storage_free(es->storage);
    turns_free(es->turns);
    queue_free(es->queue);
    environments_clear(es);
    free(c);
}
