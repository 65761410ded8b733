#include "runner/engine/engine.h"

#include <assert.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/io.h"
#include "base/log.h"
#include "base/thread.h"
#include "config/time_slicing.h"
#include "runner/engine/body.h"
#include "runner/engine/conmon.h"
#include "runner/engine/container.h"
#include "runner/engine/disk.h"
#include "runner/engine/facts.h"
#include "runner/engine/gpus.h"
#include "runner/engine/guard.h"
#include "runner/engine/host.h"
#include "runner/engine/image.h"
#include "runner/engine/inside.h"
#include "runner/engine/logs.h"
#include "runner/engine/look.h"
#include "runner/engine/ports.h"
#include "runner/engine/seccomp.h"
#include "runner/engine/service.h"
#include "runner/engine/shortage.h"
#include "runner/engine/storage.h"
#include "runner/engine/watch.h"
#include "runner/engine/work.h"
#include "runner/gpu/cdi.h"
#include "runner/gpu/watch.h"

/* --- What can be had --- */

static int facts(struct runtime *r, struct runtime_facts *out, struct error **err)
{
    struct engine_facts f;

    if (engine_get_facts(engine_of(r), &f, err) < 0)
        return -1;
    *out = f.seen;
    return 0;
}

static char *no_room(struct runtime *r)
{
    return disk_full(engine_of(r)->config);
}

static char *name_of(struct runtime *r, const char *id)
{
    _cleanup_arena_ struct arena *a = arena_new();
    return xstrdup(container_name(a, id));
}

/* --- Making and ending --- */

/* Anew by each runner, as the one before may have been another version; and where somebody tidied it away. */
static int write_profile(struct engine *e, struct arena *a, struct error **err)
{
    const char *path = engine_seccomp_path(a, e);

    LOCK_SCOPE(&e->lock);
    if (!e->podman || (e->profile_written && path_exists(path)))
        return 0;
    if (make_directory(e->directory, 0700, err) < 0 || write_file_atomic(path, seccomp_profiles[0].json, 0600, err) < 0)
        return error_wrap(err, "the profile of system calls");
    e->profile_written = true;
    return 0;
}

static int create_container(struct engine *e, struct arena *a, const struct runtime_spec *spec, struct error **err)
{
    const char *name = container_name(a, spec->instance);
    const char *path =
        e->libpod ? LIBPOD "/containers/create" : arena_printf(a, API "/containers/create?name=%s", name);
    struct request r = {"POST", path, NULL, SLOW_MS, {201}};

    if (write_profile(e, a, err) < 0)
        return -1;
    _cleanup_json_mut_ yyjson_mut_doc *body = engine_body(e, spec, spec->prepared);

    r.body = body;
    return engine_request(e, &r, NULL, err);
}

static int start_container(struct engine *e, struct arena *a, const char *instance, struct error **err)
{
    struct request r = {
        "POST", arena_printf(a, API "/containers/%s/start", container_name(a, instance)), NULL, SLOW_MS, {204, 304}};
    return engine_request(e, &r, NULL, err);
}

/* What has to know its processes. */
static void take_started(struct engine *e, struct arena *a, const char *instance)
{
    _cleanup_json_ yyjson_doc *doc = NULL;

    if (engine_inspect(e, a, instance, &doc, NULL) < 0)
        return; /* it is looked at again */
    yyjson_val *root = yyjson_doc_get_root(doc);
    engine_conmon_bound(instance, (pid_t)json_int_at(root, "State.ConmonPid", 0));
    ports_serve(e, a, instance, root);
}

static int prepare(struct runtime *r, struct arena *a, struct runtime_spec *spec, const char **reason,
                   struct error **err)
{
    struct prepared *p = arena_alloc(a, sizeof(*p));
    struct engine_facts f;

    *reason = "EngineError";
    if (engine_get_facts(engine_of(r), &f, err) < 0)
        return -1;
    int rc = host_prepare(engine_of(r), &f, a, spec, p, reason, err);
    if (rc)
        return rc;
    if (engine_gpus_prepare(engine_of(r), a, spec, &p->gpus, reason, err) < 0)
        return -1;
    spec->prepared = p;
    return 0;
}

static int ensure(struct runtime *r, const struct runtime_spec *spec, struct instance *out, struct error **err)
{
    struct engine *e = engine_of(r);
    _cleanup_arena_ struct arena *a = arena_new();
    struct container c;
    int there = container_find(e, a, spec->instance, &c, err);

    assert(spec->prepared);
    if (there < 0)
        return -1;
    if (there == 0 && create_container(e, a, spec, err) < 0)
        return -1;
    if (spec->network && engine_network_prepare(e, a, spec->instance, err) < 0)
        return -1;
    if (start_container(e, a, spec->instance, err) < 0)
        return -1;
    if (e->libpod || spec->ports[spec->ports_len - 1].tcp)
        take_started(e, a, spec->instance);
    *out = (struct instance){.state = INSTANCE_RUNNING};
    for (size_t i = 0; i < spec->ports_len; i++)
        instance_add_endpoint(out, spec->ports[i].name, spec->prepared->sockets[i]);
    return 0;
}

static int end_instance(struct runtime *r, const char *instance, unsigned grace, struct error **err)
{
    struct engine *e = engine_of(r);
    _cleanup_arena_ struct arena *a = arena_new();
    _cleanup_error_ struct error *why = NULL;
    struct container c;
    int there = container_find(e, a, instance, &c, &why);

    if (there > 0 && container_end(e, a, &c, grace, err) < 0)
        return -1;
    if (there < 0 && why->reason != REASON_CONFLICT)
        return error_set(err, why->reason, "%s", why->message);
    if (there < 0)
        log_warning("%s: %s; it is left alone", instance, why->message);
    engine_network_forget(e, instance);
    engine_conmon_forget(instance);
    relays_forget(e->relays, instance);
    shortages_forget(e->shortages, instance);
    engine_gpus_held(e, instance, NULL);
    return 0;
}

static int remove_instance(struct runtime *r, const char *instance, unsigned grace, struct error **err)
{
    return end_instance(r, instance, grace, err) < 0 ? -1 : host_remove(engine_of(r), instance, err);
}

static int sweep(struct runtime *r, void (*wanted)(void *arg, struct map *ids), void *arg, struct error **err)
{
    return host_sweep(engine_of(r), wanted, arg, err);
}

static bool shortage(struct runtime *r, const char *id, struct runtime_shortage *out)
{
    return shortages_of(engine_of(r)->shortages, id, out);
}

/* --- Life --- */

static void start_watching(struct runtime *r, const struct runtime_listener *l)
{
    struct engine *e = engine_of(r);
    e->listener = *l;
    e->started = true;
    relays_start(e->relays);
    shortages_listen(e->shortages, l);
    shortages_start(e->shortages);
    if (l->gpus_changed)
        engine_gpus_start(e);
    e->thread = thread_start("engine", engine_watch, e);
}

static void engine_free(struct runtime *r)
{
    struct engine *e = engine_of(r);

    if (e->started)
        pthread_join(e->thread, NULL);
    gpus_free(e->gpus);
    time_slicing_free(e->slicing);
    engine_service_stop(e);
    relays_free(e->relays);
    menders_free(e->menders);
    shortages_free(e->shortages);
    transport_free(e->transport);
    pthread_mutex_destroy(&e->lock);
    free(e->places);
    free(e->configured);
    free(e->directory);
    free(e->installation);
    map_free(e->guarded, free);
    map_free(e->gpu_holders, free);
    free(e->missing);
    free(e->own_socket);
    free(e);
}

static const struct runtime_ops ops = {
    .name = "engine",
    .start = start_watching,
    .facts = facts,
    .no_room = no_room,
    .image_find = engine_image_find,
    .image_pull = engine_image_pull,
    .image_list = engine_image_list,
    .image_remove = engine_image_remove,
    .image_load = engine_image_load,
    .image_save = engine_image_save,
    .name_of = name_of,
    .prepare = prepare,
    .ensure = ensure,
    .inspect = engine_look,
    .end = end_instance,
    .remove = remove_instance,
    .list = engine_list,
    .sweep = sweep,
    .logs = engine_logs,
    .run_inside = engine_run_inside,
    .usage = engine_usage,
    .work = engine_work,
    .shortage = shortage,
    .storage = engine_storage,
    .gpus = engine_gpus,
    .share_gpus = engine_share_gpus,
    .gpu_use = engine_gpu_use,
    .about = engine_about,
    .free = engine_free,
};

struct runtime *engine_new(const struct engine_options *options)
{
    struct engine *e = xcalloc(1, sizeof(*e));
    _cleanup_free_ char *relay_root = xasprintf("%s/relay", options->directory);

    e->base.ops = &ops;
    e->config = options->config;
    e->places = xstrdup(options->places);
    e->gateway_gid = options->gateway_gid;
    e->configured = xstrdup_or_null(options->socket);
    e->directory = xstrdup(options->directory);
    e->installation = xstrdup(options->installation);
    e->guarded = map_new();
    e->relays = relays_new(relay_root, options->stop_fd);
    e->menders = menders_new();
    e->shortages = shortages_new(options->stop_fd);
    e->gpu_holders = map_new();
    e->gpu_places = gpu_places_or_default(options->gpu_places);
    e->stop_fd = options->stop_fd;
    e->docker_only = options->docker_only;
    e->rootless = options->rootless;
    pthread_mutex_init(&e->lock, NULL);
    return &e->base;
}
