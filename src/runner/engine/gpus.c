#include "runner/engine/gpus.h"

#include <math.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/thread.h"
#include "config/time_slicing.h"
#include "runner/gpu/cdi.h"
#include "runner/gpu/watch.h"

#define NVIDIA_RESOURCE "nvidia.com/gpu"
#define DEV "/dev"

/* --- What there is --- */

static unsigned units_of(struct engine *e, const struct gpu *g)
{
    LOCK_SCOPE(&e->lock);
    return e->slicing ? time_slicing_replicas(e->slicing, NVIDIA_RESOURCE, g->model)
                      : config_gpu_units(e->config, NVIDIA_RESOURCE, g->model);
}

static struct runtime_gpu describe(struct engine *e, struct arena *a, const struct gpu_list *l, const struct gpu *g)
{
    return (struct runtime_gpu){
        .id = arena_strdup(a, g->id),
        .resource = NVIDIA_RESOURCE,
        .model = arena_strdup(a, g->model),
        .driver = arena_strdup_or_null(a, l->driver),
        .memory_bytes = g->memory_bytes,
        .memory_used = g->memory_used,
        .utilization = g->busy < 0 ? -1 : (int)lround(g->busy),
        .units = units_of(e, g),
        .reason = gpu_state_reason(g->state),
        .message = arena_strdup_or_null(a, g->why),
    };
}

void engine_gpus(struct runtime *r, struct arena *a, struct runtime_gpu **out, size_t *n)
{
    struct engine *e = engine_of(r);

    *n = 0;
    if (e->gpus == NULL)
        return;
    gpus_tick(e->gpus, clock_monotonic_us());
    _cleanup_gpu_list_ struct gpu_list *l = gpus_now(e->gpus);
    *out = arena_alloc(a, (l->n + 1) * sizeof(**out));
    for (size_t i = 0; i < l->n; i++)
        (*out)[(*n)++] = describe(e, a, l, &l->gpus[i]);
}

void engine_share_gpus(struct runtime *r, struct time_slicing *slicing)
{
    struct engine *e = engine_of(r);
    struct time_slicing *before;

    pthread_mutex_lock(&e->lock);
    before = e->slicing;
    e->slicing = slicing;
    pthread_mutex_unlock(&e->lock);
    time_slicing_free(before);
    if (e->listener.gpus_changed)
        e->listener.gpus_changed(e->listener.arg);
}

/* --- Who uses it --- */

void engine_gpus_held(struct engine *e, const char *instance, const char *container)
{
    LOCK_SCOPE(&e->lock);
    free(container ? map_set(e->gpu_holders, str_from(instance), xstrdup(container))
                   : map_remove(e->gpu_holders, str_from(instance)));
}

static char *holder_of(struct engine *e, struct arena *a, const char *instance)
{
    LOCK_SCOPE(&e->lock);
    return arena_strdup_or_null(a, map_get(e->gpu_holders, str_from(instance)));
}

void engine_gpu_use(struct runtime *r, struct arena *a, const char *instance, struct runtime_gpu_use **out, size_t *n)
{
    struct engine *e = engine_of(r);
    const char *container = holder_of(e, a, instance);

    *n = 0;
    if (e->gpus == NULL || container == NULL)
        return;
    _cleanup_gpu_list_ struct gpu_list *l = gpus_now(e->gpus);
    *out = arena_alloc(a, (l->n + 1) * sizeof(**out));
    for (size_t i = 0; i < l->n; i++) {
        struct runtime_gpu_use one = {.id = arena_strdup(a, l->gpus[i].id)};
        if (gpus_use(e->gpus, container, one.id, &one.memory_bytes, &one.processes))
            (*out)[(*n)++] = one;
    }
}

static void gpus_changed(void *arg)
{
    struct engine *e = arg;
    _cleanup_error_ struct error *err = NULL;
    _cleanup_gpu_list_ struct gpu_list *l = gpus_now(e->gpus);

    /* What runs is started again by the engine's own word of it: ours is kept as things are. */
    if (l->n && geteuid() == 0 && !e->rootless && cdi_write(e->gpu_places.cdi_own, e->installation, l, &err) < 0)
        log_warning("GPUs: %s", err->message);
    if (e->listener.gpus_changed)
        e->listener.gpus_changed(e->listener.arg);
}

void engine_gpus_start(struct engine *e)
{
    const struct gpus_options o = {
        e->config->gpu_library, e->gpu_places.proc, e->stop_fd, gpus_changed, e,
    };

    e->gpus = gpus_new(&o);
    gpus_start(e->gpus);
}

/* --- What a container gets --- */

struct getting {
    struct engine *e;
    struct arena *a;
    const struct runtime_spec *s;
    const struct gpu_list *all;
    const struct gpu **list; /* each once */
    size_t n;
    struct container_gpus *out;
};

static bool has(const struct getting *t, const struct gpu *g)
{
    for (size_t i = 0; i < t->n; i++)
        if (t->list[i] == g)
            return true;
    return false;
}

static int find_all(struct getting *t, struct error **err)
{
    t->list = arena_alloc(t->a, t->s->gpus_len * sizeof(struct gpu *));
    for (size_t i = 0; i < t->s->gpus_len; i++) {
        const struct gpu *g = gpu_list_find(t->all, t->s->gpus[i]);
        if (g == NULL || g->state != GPU_WELL)
            return error_set(err, REASON_INVALID, "GPU %s: %s", t->s->gpus[i],
                             g && g->why ? g->why : "this machine has none of that name");
        if (!has(t, g))
            t->list[t->n++] = g;
    }
    return 0;
}

/* False: one of them is in no administrator's file. */
static bool take_administrators(struct getting *t)
{
    for (size_t i = 0; i < t->n; i++) {
        const char *name = cdi_find(t->a, t->e->gpu_places.cdi_folders, t->list[i]);
        if (name == NULL) {
            t->out->names_len = 0;
            return false;
        }
        t->out->names[t->out->names_len++] = name;
    }
    return true;
}

static int check_nodes(struct getting *t, const struct gpu_parts *shared, struct error **err)
{
    struct gpu_parts own;

    for (size_t i = 0; i < t->n; i++) {
        gpu_parts_own(t->a, t->list[i], &own);
        if (gpu_parts_check(&own, DEV, err) < 0)
            return -1;
    }
    return gpu_parts_check(shared, DEV, err);
}

/* Only root's engine reads the folder that only root writes. */
static int take_own_names(struct getting *t, struct error **err)
{
    struct engine *e = t->e;

    if (cdi_write(e->gpu_places.cdi_own, e->installation, t->all, err) < 0)
        return -1;
    for (size_t i = 0; i < t->n; i++)
        t->out->names[t->out->names_len++] = cdi_own_name(t->a, e->installation, t->list[i]->id);
    return 0;
}

static void add_nodes(struct getting *t, const struct gpu_parts *p)
{
    for (size_t i = 0; i < p->nodes_len; i++)
        t->out->nodes[t->out->nodes_len++] = arena_printf(t->a, DEV "/%s", p->nodes[i]);
}

static void take_one_by_one(struct getting *t, const struct gpu_parts *shared)
{
    struct gpu_parts own;

    t->out->nodes = arena_alloc(t->a, (3 * t->n + shared->nodes_len) * sizeof(char *));
    for (size_t i = 0; i < t->n; i++) {
        gpu_parts_own(t->a, t->list[i], &own);
        add_nodes(t, &own);
    }
    add_nodes(t, shared);
    t->out->files = shared->files;
    t->out->files_len = shared->files_len;
}

static int take_own(struct getting *t, struct error **err)
{
    struct gpu_parts shared;

    gpu_parts_shared(t->a, t->all, &shared);
    if (check_nodes(t, &shared, err) < 0)
        return -1;
    t->out->libraries = GPU_LIBRARIES;
    if (t->e->libpod && !t->e->rootless)
        return take_own_names(t, err);
    take_one_by_one(t, &shared);
    return 0;
}

int engine_gpus_prepare(struct engine *e, struct arena *a, const struct runtime_spec *s, struct container_gpus *out,
                        const char **reason, struct error **err)
{
    *out = (struct container_gpus){0};
    if (s->gpus_len == 0)
        return 0;
    *reason = "GPURefused";
    if (e->gpus == NULL)
        return error_set(err, REASON_INVALID, "GPUs are not looked for here");
    _cleanup_gpu_list_ struct gpu_list *all = gpus_now(e->gpus);
    struct getting t = {.e = e, .a = a, .s = s, .all = all, .out = out};
    if (find_all(&t, err) < 0)
        return -1;
    out->names = arena_alloc(a, t.n * sizeof(char *));
    if (e->libpod && take_administrators(&t))
        return 0;
    return take_own(&t, err);
}
