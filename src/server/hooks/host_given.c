/* What a Host's status says of who has its GPUs. */
#include <stdlib.h>

#include "base/alloc.h"
#include "kinds/host.h"
#include "server/hooks/gpus.h"
#include "server/hooks/objects.h"

/* --- One GPU --- */

struct given {
    struct arena *arena;
    const char *id;
    const char *devices[4 * HOST_GPU_UNITS_MAX]; /* more only where it had more units than it has */
    size_t n;
};

static bool add_holder(void *arg, struct str device, struct str units)
{
    struct given *g = arg;
    struct str one;

    while (str_split(&units, ' ', &one)) {
        if (!str_is(one, g->id))
            continue;
        if (g->n < ARRAY_SIZE(g->devices))
            g->devices[g->n++] = arena_str(g->arena, device).p;
    }
    return true;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

struct sums {
    unsigned gpus, total, given, free;
};

static void write_gpu(struct allotment *al, yyjson_mut_doc *doc, yyjson_mut_val *gpu, const struct host_gpu *read,
                      struct sums *sums)
{
    struct given g = {.arena = al->arena, .id = read->id};
    yyjson_mut_val *devices = yyjson_mut_arr(doc);

    txn_secret_list(al->t, GPU_UNITS, add_holder, &g);
    qsort(g.devices, g.n, sizeof(*g.devices), by_name);
    for (size_t i = 0; i < g.n; i++)
        yyjson_mut_arr_add_strcpy(doc, devices, g.devices[i]);
    unsigned total = read->offered ? read->units : 0, given = (unsigned)g.n, free = given < total ? total - given : 0;
    json_mut_set_int(doc, gpu, "given", given);
    json_mut_set_int(doc, gpu, "free", free);
    json_mut_set(doc, gpu, "devices", devices);
    sums->gpus += read->healthy;
    sums->total += total;
    sums->given += given;
    sums->free += free;
}

/* --- A host --- */

static const struct host_gpu *find_gpu(const struct host *host, const char *id)
{
    for (size_t i = 0; i < host->gpus_len; i++)
        if (streq(host->gpus[i].id, id))
            return &host->gpus[i];
    return NULL;
}

void host_given_write(struct allotment *al, yyjson_mut_doc *doc, yyjson_mut_val *object)
{
    _cleanup_json_ yyjson_doc *now = yyjson_mut_val_imut_copy(object, NULL);
    yyjson_mut_val *status = json_mut_make_obj(doc, object, "status"), *one;
    struct sums sums = {0};
    struct host host;
    size_t i, n;

    host_read(yyjson_doc_get_root(now), al->arena, &host);
    yyjson_mut_arr_foreach (yyjson_mut_obj_get(status, "gpus"), i, n, one) {
        const struct host_gpu *read = find_gpu(&host, json_mut_str_at(one, "id"));
        if (read)
            write_gpu(al, doc, one, read, &sums);
    }
    json_mut_set_int(doc, status, "gpuCount", sums.gpus);
    yyjson_mut_val *units = json_mut_make_obj(doc, status, "gpuUnits");
    json_mut_set_int(doc, units, "total", sums.total);
    json_mut_set_int(doc, units, "given", sums.given);
    json_mut_set_int(doc, units, "free", sums.free);
}

/* --- All --- */

struct names {
    struct allotment *al;
    const char *first[GPUS_MAX];
    size_t n;
};

static bool collect_name(void *arg, struct object *o)
{
    struct names *names = arg;

    if (!is_current_host(names->al, o->name) && names->n < ARRAY_SIZE(names->first))
        names->first[names->n++] = arena_strdup(names->al->arena, o->name);
    return true;
}

static void say_host(struct allotment *al, const char *name)
{
    _cleanup_json_mut_ yyjson_mut_doc *doc = object_read_mutable(al->t, PLURAL_HOSTS, name);
    size_t n;

    if (doc == NULL)
        return;
    yyjson_mut_val *root = yyjson_mut_doc_get_root(doc);
    _cleanup_free_ char *before = json_mut_write(root, &n);
    host_given_write(al, doc, root);
    _cleanup_free_ char *now = json_mut_write(root, &n);
    if (!streq(before, now))
        object_write(al->t, PLURAL_HOSTS, doc);
}

void gpus_say_given(struct allotment *al)
{
    struct names names = {.al = al};

    txn_list(al->t, PLURAL_HOSTS, collect_name, &names);
    for (size_t i = 0; i < names.n; i++)
        say_host(al, names.first[i]);
}
