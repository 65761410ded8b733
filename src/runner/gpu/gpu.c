#include "runner/gpu/gpu.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/str.h"

const char *gpu_state_reason(enum gpu_state s)
{
    static const char *const reasons[] = {
        [GPU_LOST] = "GPULost", [GPU_NEEDS_RESET] = "GPUNeedsReset", [GPU_UNREACHABLE] = "GPUUnreachable"};

    return reasons[s];
}

struct gpu_places gpu_places_or_default(const struct gpu_places *p)
{
    static const char *const folders[] = {"/etc/cdi", "/var/run/cdi", NULL};
    struct gpu_places out = p ? *p : (struct gpu_places){0};

    out.proc = out.proc ? out.proc : "/proc";
    out.cdi_folders = out.cdi_folders ? out.cdi_folders : folders;
    out.cdi_own = out.cdi_own ? out.cdi_own : "/var/run/cdi";
    return out;
}

struct gpu_list *gpu_list_new(void)
{
    struct gpu_list *l = xcalloc(1, sizeof(*l));
    atomic_store(&l->refs, 1);
    return l;
}

struct gpu_list *gpu_list_copy(const struct gpu_list *l)
{
    struct gpu_list *copy = gpu_list_new();

    copy->driver = xstrdup_or_null(l->driver);
    copy->library = xstrdup_or_null(l->library);
    copy->message = xstrdup_or_null(l->message);
    for (size_t i = 0; i < l->n; i++)
        gpu_list_add(copy, &l->gpus[i]);
    return copy;
}

struct gpu_list *gpu_list_ref(struct gpu_list *l)
{
    atomic_fetch_add(&l->refs, 1);
    return l;
}

void gpu_list_unref(struct gpu_list *l)
{
    if (l == NULL || atomic_fetch_sub(&l->refs, 1) > 1)
        return;
    for (size_t i = 0; i < l->n; i++) {
        free(l->gpus[i].id);
        free(l->gpus[i].whole);
        free(l->gpus[i].model);
        free(l->gpus[i].why);
    }
    free(l->gpus);
    free(l->driver);
    free(l->library);
    free(l->message);
    free(l);
}

struct gpu *gpu_list_add(struct gpu_list *l, const struct gpu *g)
{
    l->gpus = xreallocarray(l->gpus, l->n + 1, sizeof(*l->gpus));
    struct gpu *added = &l->gpus[l->n++];

    *added = *g;
    added->id = xstrdup(g->id);
    added->whole = xstrdup(g->whole);
    added->model = xstrdup(g->model);
    added->why = xstrdup_or_null(g->why);
    return added;
}

struct gpu *gpu_list_find(const struct gpu_list *l, const char *id)
{
    for (size_t i = 0; i < l->n; i++)
        if (streq(l->gpus[i].id, id))
            return &l->gpus[i];
    return NULL;
}

void gpu_set_state(struct gpu *g, enum gpu_state state, const char *why)
{
    g->state = state;
    free(g->why);
    g->why = xstrdup_or_null(why);
}

static bool same_gpu(const struct gpu *a, const struct gpu *b)
{
    return streq(a->id, b->id) && streq(a->model, b->model) && a->minor == b->minor && a->state == b->state &&
           a->gpu_capability == b->gpu_capability && a->compute_capability == b->compute_capability &&
           a->memory_bytes == b->memory_bytes && same_text(a->why, b->why);
}

bool gpu_list_same(const struct gpu_list *a, const struct gpu_list *b)
{
    if (a->n != b->n || !same_text(a->driver, b->driver) || !same_text(a->library, b->library) ||
        !same_text(a->message, b->message))
        return false;
    for (size_t i = 0; i < a->n; i++)
        if (!same_gpu(&a->gpus[i], &b->gpus[i]))
            return false;
    return true;
}
