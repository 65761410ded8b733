/* Units of GPUs: which there are say the Hosts, who has them the records of the holders. */
#include <assert.h>

#include "kinds/host.h"
#include "server/hooks/gpus.h"
#include "server/hooks/objects.h"
#include "server/hooks/stock.h"

/* --- What there is --- */

struct listing {
    struct allotment *al;
    struct gpus *out;
};

static struct gpu *gpu_by_id(const struct gpus *list, struct str id)
{
    for (size_t i = 0; i < list->n; i++)
        if (str_is(id, list->first[i].id))
            return &list->first[i];
    return NULL;
}

/* A machine that was renamed is there twice until its runner has removed the old name: each GPU counts once. */
static void add_host(struct listing *l, yyjson_val *object)
{
    struct host host;

    host_read(object, l->al->arena, &host);
    for (size_t i = 0; i < host.gpus_len; i++) {
        const struct host_gpu *g = &host.gpus[i];
        if (l->out->n == GPUS_MAX || gpu_by_id(l->out, str_from(g->id)))
            continue;
        l->out->first[l->out->n++] = (struct gpu){.id = arena_strdup(l->al->arena, g->id),
                                                  .resource = arena_strdup(l->al->arena, g->resource),
                                                  .host = arena_strdup(l->al->arena, host.name ? host.name : ""),
                                                  .units = g->offered ? g->units : 0};
    }
}

bool is_current_host(const struct allotment *al, const char *host)
{
    const struct admission *a = al->current;

    return a && a->kind && streq(a->kind->plural, PLURAL_HOSTS) &&
           streq(json_mut_str_at(a->object, "metadata.name"), host);
}

static bool add_stored_host(void *arg, struct object *o)
{
    struct listing *l = arg;
    _cleanup_json_ yyjson_doc *doc = is_current_host(l->al, o->name) ? NULL : json_parse(o->json, NULL);

    if (doc)
        add_host(l, yyjson_doc_get_root(doc));
    return true;
}

static void add_current_host(struct listing *l)
{
    const struct admission *a = l->al->current;

    if (a == NULL || l->al->current_goes || !is_current_host(l->al, json_mut_str_at(a->object, "metadata.name")))
        return;
    _cleanup_json_ yyjson_doc *doc = yyjson_mut_val_imut_copy(a->object, NULL);
    add_host(l, yyjson_doc_get_root(doc));
}

static bool count_holder(void *arg, struct str holder, struct str units)
{
    struct listing *l = arg;
    struct str one;

    while (str_split(&units, ' ', &one)) {
        struct gpu *g = gpu_by_id(l->out, one);
        if (g)
            g->given++;
    }
    return true;
}

static void list_gpus(struct allotment *al, struct gpus *out)
{
    struct listing l = {al, out};

    *out = (struct gpus){.first = arena_alloc(al->arena, GPUS_MAX * sizeof(*out->first))};
    add_current_host(&l);
    txn_list(al->t, PLURAL_HOSTS, add_stored_host, &l);
    txn_secret_list(al->t, GPU_UNITS, count_holder, &l);
}

/* --- Which are given --- */

/* Of GPUs with room: that of which this device has the fewest, then that of which anybody has. */
static bool is_better(const struct gpu *g, const struct gpu *than)
{
    if (than == NULL || g->chosen != than->chosen)
        return than == NULL || g->chosen < than->chosen;
    return g->given < than->given;
}

static struct gpu *choose(const struct gpus *list, const char *resource)
{
    struct gpu *best = NULL;

    for (size_t i = 0; i < list->n; i++) {
        struct gpu *g = &list->first[i];
        if (streq(g->resource, resource) && g->given + g->chosen < g->units && is_better(g, best))
            best = g;
    }
    return best;
}

struct counting {
    const struct gpus *list;
    const struct claim *claim;
    size_t n;
};

/* Those who have units of what is waited for, on GPUs that are given at all. */
static bool count_holders(void *arg, struct str holder, struct str units)
{
    struct counting *c = arg;
    struct str one;

    while (str_split(&units, ' ', &one)) {
        const struct gpu *g = gpu_by_id(c->list, one);
        if (g && g->units && streq(g->resource, c->claim->what)) {
            c->n++;
            break;
        }
    }
    return true;
}

static void find_gpus(struct allotment *al, struct claim *c)
{
    struct gpus list;
    struct gpu *g;

    if (c->wanted == 0)
        return;
    c->is_counted = true;
    list_gpus(al, &list);
    for (size_t i = 0; i < list.n; i++)
        if (streq(list.first[i].resource, c->what))
            c->total += list.first[i].units;
    while (c->found < c->wanted && (g = choose(&list, c->what))) {
        g->chosen++;
        c->units[c->found++] = g->id;
    }
    struct counting counting = {&list, c, 0};
    txn_secret_list(al->t, GPU_UNITS, count_holders, &counting);
    c->holders = counting.n;
}

static void hold_gpus(struct allotment *al, const struct claim *c)
{
    if (c->found == 0)
        return;
    units_put(al, c->resource, c->holder, c->units, c->found);
    gpus_say_given(al);
}

static bool release_gpus(struct allotment *al, const struct resource *r, const char *holder)
{
    if (txn_secret(al->t, r->name, str_from(holder)).p == NULL)
        return false;
    txn_secret_delete(al->t, r->name, str_from(holder));
    gpus_say_given(al);
    return true;
}

const struct stock stock_gpus = {find_gpus, hold_gpus, release_gpus};

/* --- Said of a device --- */

void gpus_write(struct allotment *al, struct admission *a, const char *const *units, size_t n)
{
    yyjson_mut_val *status = json_mut_make_obj(a->doc, a->object, "status"), *list = yyjson_mut_arr(a->doc);
    struct gpus gpus = {0};

    if (n)
        list_gpus(al, &gpus);
    for (size_t i = 0; i < n; i++) {
        const struct gpu *g = gpu_by_id(&gpus, str_from(units[i]));
        yyjson_mut_val *one = yyjson_mut_arr_add_obj(a->doc, list);
        json_mut_set_str(a->doc, one, "id", units[i]);
        json_mut_set_str(a->doc, one, "resource", g ? g->resource : NULL);
        json_mut_set_str(a->doc, one, "host", g ? g->host : NULL);
    }
    if (n)
        json_mut_set(a->doc, status, "gpus", list);
    else
        json_mut_remove(status, "gpus");
}
