#include "runner/environment/gpus.h"

#include "base/alloc.h"
#include "base/json.h"

#define GPUS_MAX 255              /* entries of status.gpus */
#define MEMORY_STEP (64ull << 20) /* less is no news */
#define PERCENT_STEP 5

/* How often that id is in «id,id». */
static unsigned count_in(const char *list, const char *id)
{
    struct str rest = str_from(list), one;
    unsigned n = 0;

    while (str_split(&rest, ',', &one))
        n += str_is(one, id);
    return n;
}

/* --- Before the start --- */

static const char *const *ids_of(struct arena *a, yyjson_val *gpus, size_t *n)
{
    const char **list = arena_alloc(a, (yyjson_arr_size(gpus) + 1) * sizeof(char *));
    size_t i, max;
    yyjson_val *one;

    *n = 0;
    yyjson_arr_foreach (gpus, i, max, one) {
        const char *id = json_str_at(one, "id");
        if (id && *n < GPUS_MAX)
            list[(*n)++] = arena_strdup(a, id);
    }
    return list;
}

static int check_gpu(struct environments *es, struct arena *a, const char *id, const struct runtime_gpu **out,
                     const char **reason, struct error **err)
{
    *out = runtime_find_gpu(es->runtime, a, id);
    *reason = *out ? "GPUUnhealthy" : "GPUUnknown";
    if (*out == NULL)
        return error_set(err, REASON_INTERNAL, "this machine has no GPU %s", id);
    return (*out)->reason == NULL ? 0 : error_set(err, REASON_INTERNAL, "GPU %s: %s", id, (*out)->message);
}

/* By the labels of all that is there, so that it holds after a kill at any moment. */
static int check_free(const struct runtime_spec *r, const struct runtime_gpu *g, const struct instance *all, size_t n,
                      struct error **err)
{
    unsigned held = 0;
    const char *by = NULL;

    for (size_t i = 0; i < n; i++) {
        unsigned here = all[i].gpus && !streq(all[i].id, r->instance) ? count_in(all[i].gpus, g->id) : 0;
        held += all[i].state == INSTANCE_ENDED ? 0 : here;
        by = here ? all[i].device : by;
    }
    for (size_t i = 0; i < r->gpus_len; i++)
        held += streq(r->gpus[i], g->id);
    if (held <= g->units)
        return 0;
    return error_set(err, REASON_INTERNAL, "GPU %s is still held, by the container of device %s", g->id, by ? by : "?");
}

static int check_each(struct environments *es, struct arena *a, const struct runtime_spec *r,
                      const struct instance *all, size_t n, const char **reason, struct error **err)
{
    const struct runtime_gpu *g;

    for (size_t i = 0; i < r->gpus_len; i++) {
        if (check_gpu(es, a, r->gpus[i], &g, reason, err) < 0)
            return -1;
        *reason = "GPUHeld";
        if (check_free(r, g, all, n, err) < 0)
            return -1;
    }
    return 0;
}

int environment_choose_gpus(struct environments *es, struct arena *a, const struct device *d, struct runtime_spec *r,
                            const char **reason, struct error **err)
{
    struct instance *all;
    size_t n;

    r->gpus = ids_of(a, d->gpus, &r->gpus_len);
    if (r->gpus_len == 0)
        return 0;
    *reason = "EngineError";
    if (es->runtime->ops->list(es->runtime, &all, &n, err) < 0)
        return -1;
    int rc = check_each(es, a, r, all, n, reason, err);
    runtime_free_instances(all, n);
    return rc;
}

/* --- While it runs --- */

/* The next of «id,id» that was not there before; NULL: no more. */
static const char *next_gpu(struct arena *a, const char *list, struct str *rest)
{
    struct str one;

    while (str_split(rest, ',', &one)) {
        char *id = arena_strndup(a, one.p, one.n), *before = arena_strndup(a, list, (size_t)(one.p - list));
        if (count_in(before, id) == 0)
            return id;
    }
    return NULL;
}

bool environment_gpus_ill(struct environments *es, struct arena *a, const struct environment *e,
                          struct gpu_trouble *out)
{
    struct str rest = str_from(e->gpus);
    const char *id;

    while ((id = next_gpu(a, e->gpus, &rest))) {
        const struct runtime_gpu *g = runtime_find_gpu(es->runtime, a, id);
        if (g && g->reason == NULL)
            continue;
        out->reason = g ? g->reason : "GPULost";
        out->message = arena_printf(a, "GPU %s: %s; delete the environment and create it again for another one", id,
                                    g ? g->message : "it is not there any more");
        return true;
    }
    return false;
}

static const struct runtime_gpu_use *use_of(const struct runtime_gpu_use *list, size_t n, const char *id)
{
    for (size_t i = 0; i < n; i++)
        if (streq(list[i].id, id))
            return &list[i];
    return NULL;
}

static size_t uses_of(struct environments *es, struct arena *a, const struct environment *e,
                      struct runtime_gpu_use **out)
{
    size_t n = 0;

    if (es->runtime->ops->gpu_use)
        es->runtime->ops->gpu_use(es->runtime, a, e->instance, out, &n);
    return n;
}

static uint64_t in_steps(uint64_t bytes)
{
    return bytes / MEMORY_STEP * MEMORY_STEP;
}

bool environment_gpus_greedy(struct environments *es, struct arena *a, const struct environment *e,
                             struct gpu_trouble *out)
{
    struct runtime_gpu_use *uses = NULL;
    size_t n = uses_of(es, a, e, &uses);

    for (size_t i = 0; i < n; i++) {
        const struct runtime_gpu *g = runtime_find_gpu(es->runtime, a, uses[i].id);
        unsigned units = count_in(e->gpus, uses[i].id);
        if (g == NULL || g->units <= 1 || units >= g->units)
            continue;
        uint64_t share = g->memory_bytes / g->units * units;
        if (in_steps(uses[i].memory_bytes) <= share)
            continue;
        out->reason = "GPUMemoryOverShare";
        out->message = arena_printf(a,
                                    "it holds %llu MiB of the memory of GPU %s, of which its share is %llu MiB: the "
                                    "others that use it may find none",
                                    (unsigned long long)(in_steps(uses[i].memory_bytes) >> 20), g->id,
                                    (unsigned long long)(share >> 20));
        return true;
    }
    return false;
}

/* --- In its status --- */

static void put_use(struct environments *es, struct arena *a, yyjson_mut_doc *doc, yyjson_mut_val *one, const char *id,
                    const struct runtime_gpu_use *use)
{
    const struct runtime_gpu *g = id ? runtime_find_gpu(es->runtime, a, id) : NULL;

    json_mut_set_int(doc, one, "memoryUsedBytes", use ? (int64_t)in_steps(use->memory_bytes) : 0);
    json_mut_set_int(doc, one, "processes", use ? use->processes : 0);
    if (g && g->utilization >= 0)
        json_mut_set_int(doc, one, "utilization", g->utilization / PERCENT_STEP * PERCENT_STEP);
    else
        json_mut_remove(one, "utilization");
}

yyjson_mut_val *environment_gpus_status(struct environments *es, const struct environment *e, yyjson_val *object,
                                        yyjson_mut_doc *doc)
{
    yyjson_val *present = json_at(object, "status.gpus"), *one;
    _cleanup_arena_ struct arena *a = arena_new();
    struct runtime_gpu_use *uses = NULL;
    size_t n = uses_of(es, a, e, &uses), i, max;

    if (yyjson_arr_size(present) == 0)
        return NULL;
    yyjson_mut_val *list = yyjson_mut_arr(doc);
    yyjson_arr_foreach (present, i, max, one) {
        yyjson_mut_val *copy = yyjson_val_mut_copy(doc, one);
        const char *id = json_str_at(one, "id");
        put_use(es, a, doc, copy, id, id ? use_of(uses, n, id) : NULL);
        yyjson_mut_arr_append(list, copy);
    }
    return list;
}
