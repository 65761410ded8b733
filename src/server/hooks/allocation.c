#include "server/hooks/allocation.h"

#include <assert.h>

#include "base/clock.h"
#include "server/hooks/device_status.h"
#include "server/hooks/objects.h"
#include "server/hooks/stock.h"
#include "server/hooks/waiting_list.h"
#include "server/model/metadata.h"

/* Where a device says by whom its units are held. */
static const char *const holder_fields[] = {
    [HOLDER_USER] = "spec.openHydraUsername", [HOLDER_DEVICE] = "metadata.name"};

static int64_t priority_of(const struct admission *a)
{
    return yyjson_mut_get_sint(json_mut_at(a->object, "spec.priority"));
}

/* --- What a device needs --- */

static struct claim *find_claim(struct allotment *al, const struct resource *r, const struct admission *a)
{
    struct claim *c = arena_alloc(al->arena, sizeof(*c));

    c->resource = r;
    c->holder = json_mut_str_at(a->object, holder_fields[r->holder]);
    c->what = r->what ? arena_strdup(al->arena, r->what(a)) : r->name;
    c->wanted = r->needed ? r->needed(a, al->t) : 1;
    assert(c->wanted <= UNITS_MAX);
    c->units = arena_alloc(al->arena, UNITS_MAX * sizeof(*c->units));
    r->stock->find(al, c);
    return c;
}

static bool is_enough(const struct claim *c)
{
    return c->found == c->wanted;
}

static void give(struct allotment *al, struct admission *a, const struct claim *c)
{
    assert(is_enough(c));
    c->resource->stock->hold(al, c);
    c->resource->write(al, a, c->units, c->found);
}

static int give_what_never_waits(struct allotment *al, struct admission *a, struct error **err)
{
    for (size_t i = 0; i < limited_resources_len; i++) {
        const struct resource *r = &limited_resources[i];
        if (r->reason)
            continue;
        const struct claim *c = find_claim(al, r, a);
        if (!is_enough(c))
            return r->refuse(al->context->config, err);
        give(al, a, c);
    }
    return 0;
}

/* What is waited for, as those who were tried so far have seen it. */
struct wanted_thing {
    struct wanted_thing *next;
    const char *what;
    size_t seen;        /* who wait for it, so far */
    bool is_kept;       /* for one of them, whose claim it is: nobody behind gets any */
    struct claim claim; /* of one of them; resource NULL: of none yet */
};
struct serving {
    struct allotment *al;
    struct waiting_list list;
    struct wanted_thing *things;
};

static struct wanted_thing *thing_of(struct serving *s, const char *what)
{
    for (struct wanted_thing *t = s->things; t; t = t->next)
        if (streq(t->what, what))
            return t;
    struct wanted_thing *t = arena_alloc(s->al->arena, sizeof(*t));
    *t = (struct wanted_thing){.next = s->things, .what = what};
    return s->things = t;
}

/* What is there may be kept for those who come before it. `s` NULL: it is new. */
static bool is_others_turn(struct allotment *al, struct serving *s, const struct admission *a, const struct claim *c)
{
    if (c->found <= c->held)
        return false;
    return s ? thing_of(s, c->what)->is_kept : waiting_list_has_before(al->t, c->what, priority_of(a));
}

/* The first of which there is not enough for it; NULL: it has everything. */
static struct claim *give_or_wait(struct allotment *al, struct serving *s, struct admission *a)
{
    struct claim *own[RESOURCES_MAX];
    size_t n = 0;

    for (size_t i = 0; i < limited_resources_len; i++) {
        const struct resource *r = &limited_resources[i];
        if (r->reason == NULL)
            continue;
        struct claim *c = find_claim(al, r, a);
        if (!is_enough(c) || is_others_turn(al, s, a, c))
            return c;
        if (r->holder == HOLDER_USER)
            give(al, a, c);
        else
            own[n++] = c;
    }
    for (size_t i = 0; i < n; i++)
        give(al, a, own[i]);
    return NULL;
}

/* --- Saying it --- */

/* Whether it is new. */
static bool set_number(struct admission *a, const struct claim *c, const char *key, size_t value)
{
    yyjson_mut_val *queue = json_mut_make_obj(a->doc, a->object, "status.queue");

    if (!c->is_counted) {
        bool was = yyjson_mut_obj_get(queue, key) != NULL;
        json_mut_remove(queue, key);
        return was;
    }
    if (yyjson_mut_get_uint(yyjson_mut_obj_get(queue, key)) == value && yyjson_mut_obj_get(queue, key))
        return false;
    json_mut_set_int(a->doc, queue, key, (int64_t)value);
    return true;
}

static bool say_waiting(struct allotment *al, struct admission *a, const struct claim *c)
{
    const char *message = c->resource->message(c, al->arena);
    bool is_new = set_number(a, c, "total", c->total) | set_number(a, c, "holders", c->holders);

    is_new |= !streq(json_mut_str_at(a->object, "status.message"), message);
    device_say(a, PHASE_QUEUED, c->resource->reason, message);
    return is_new;
}

/* What it has none of yet. */
static void write_nothing(struct allotment *al, struct admission *a, const struct claim *lacking)
{
    const struct resource *r = lacking->resource;

    for (; r < limited_resources + limited_resources_len; r++)
        if (r->reason)
            r->write(al, a, NULL, 0);
}

int allocation_give(struct admission *a, struct store_txn *t, struct error **err)
{
    struct allotment al = {.t = t, .context = a->context, .arena = a->arena, .current = a};

    assert(a->operation == OPERATION_CREATE);
    if (give_what_never_waits(&al, a, err) < 0)
        return -1;
    const struct claim *lacking = give_or_wait(&al, NULL, a);
    if (lacking == NULL) {
        device_say_queued(a);
        return 0;
    }
    write_nothing(&al, a, lacking);
    say_waiting(&al, a, lacking);
    struct waiting_device w = {.what = lacking->what,
                               .wanted = lacking->wanted,
                               .priority = priority_of(a),
                               .beyond = lacking->wanted > lacking->total};
    waiting_list_join(a, t, &w);
    return 0;
}

/* --- Those who wait --- */

/* It waits on: for another thing than before, perhaps. */
static bool wait_on(struct serving *s, struct admission *a, struct waiting_device *w, const struct claim *lacking)
{
    struct wanted_thing *thing = thing_of(s, lacking->what);
    uint64_t beyond = lacking->wanted > lacking->total;

    thing->claim = *lacking;
    thing->is_kept |= !beyond;
    if (w->beyond != beyond || !streq(w->what, lacking->what) || w->wanted != lacking->wanted) {
        *w = (struct waiting_device){.device = w->device,
                                     .what = lacking->what,
                                     .wanted = lacking->wanted,
                                     .priority = w->priority,
                                     .since_us = w->since_us,
                                     .beyond = beyond};
    }
    return say_waiting(s->al, a, lacking);
}

static bool has_all(struct admission *a, struct waiting_device *w)
{
    w->left = true;
    device_say_queued(a);
    device_write_outputs(a, false);
    return true;
}

/* Whose turn it is not learns how many there are all the same. */
static bool try_device(struct serving *s, struct admission *a, struct waiting_device *w,
                       const struct wanted_thing *thing)
{
    if (thing->is_kept) {
        struct claim c = thing->claim;
        c.wanted = w->wanted;
        return wait_on(s, a, w, &c);
    }
    const struct claim *lacking = give_or_wait(s->al, s, a);
    return lacking ? wait_on(s, a, w, lacking) : has_all(a, w);
}

static void serve_device(struct serving *s, struct waiting_device *w, struct wanted_thing *thing)
{
    struct admission *current = s->list.current;

    if (current && streq(json_mut_str_at(current->object, "metadata.name"), w->device)) {
        try_device(s, current, w, thing);
        return;
    }
    _cleanup_json_mut_ yyjson_mut_doc *doc = object_read_mutable(s->al->t, PLURAL_DEVICES, w->device);
    struct admission a = {.doc = doc, .object = doc ? yyjson_mut_doc_get_root(doc) : NULL, .context = s->al->context};
    if (doc == NULL || metadata_is_deleting(a.object))
        w->left = true;
    else if (try_device(s, &a, w, thing))
        object_write(s->al->t, PLURAL_DEVICES, doc);
}

/* Beyond what there is, or no longer so: it says another thing, wherever it stands. */
static bool is_said_wrong(const struct waiting_device *w, const struct wanted_thing *thing)
{
    return thing->claim.resource && (w->wanted > thing->claim.total) != w->beyond;
}

static void serve(struct allotment *al, struct serving *s)
{
    s->al = al;
    for (size_t i = 0; i < s->list.n; i++) {
        struct waiting_device *w = &s->list.first[i];
        struct wanted_thing *thing = thing_of(s, w->what);
        if (w->left)
            continue;
        bool in_front = thing->seen++ < WAITING_EXACT;
        if (!thing->is_kept || in_front || is_said_wrong(w, thing))
            serve_device(s, w, thing);
    }
    waiting_list_write(al->t, al->arena, &s->list);
}

static void serve_all(struct allotment *al, const char *leaving)
{
    struct serving s = {0};

    waiting_list_read(al->t, al->arena, &s.list);
    for (size_t i = 0; i < s.list.n; i++)
        s.list.first[i].left = streq(s.list.first[i].device, leaving);
    serve(al, &s);
}

int allocation_serve(struct store_txn *t, void *context, struct error **err)
{
    _cleanup_arena_ struct arena *arena = arena_new();
    struct allotment al = {.t = t, .context = context, .arena = arena};

    serve_all(&al, NULL);
    return 0;
}

static bool is_device(const struct admission *a)
{
    return streq(a->kind->plural, PLURAL_DEVICES);
}

void allocation_changed(struct admission *a, struct store_txn *t, bool goes)
{
    _cleanup_arena_ struct arena *arena = arena_new();
    struct allotment al = {.t = t, .context = a->context, .arena = arena, .current = a, .current_goes = goes};
    struct serving s = {0};

    waiting_list_read(t, arena, &s.list);
    if (is_device(a)) {
        s.list.current = a;
        for (size_t i = 0; i < s.list.n; i++)
            if (streq(s.list.first[i].device, json_mut_str_at(a->object, "metadata.name"))) {
                s.list.first[i].priority = priority_of(a);
                s.list.first[i].said = 0;
            }
        waiting_list_sort(&s.list);
    }
    serve(&al, &s);
}

/* --- Those who go --- */

void allocation_leave(struct store_txn *t, struct hook_context *context, const char *device)
{
    _cleanup_arena_ struct arena *arena = arena_new();
    struct allotment al = {.t = t, .context = context, .arena = arena};

    if (waiting_list_has(t, device))
        serve_all(&al, device);
}

void allocation_release(struct store_txn *t, struct hook_context *context, enum resource_holder holder,
                        const char *name)
{
    _cleanup_arena_ struct arena *arena = arena_new();
    struct allotment al = {.t = t, .context = context, .arena = arena};
    bool released = false;

    for (size_t i = 0; i < limited_resources_len; i++)
        if (limited_resources[i].holder == holder &&
            limited_resources[i].stock->release(&al, &limited_resources[i], name))
            released = true;
    if (released || (holder == HOLDER_DEVICE && waiting_list_has(t, name)))
        serve_all(&al, holder == HOLDER_DEVICE ? name : NULL);
}

bool allocation_retire_host_ids(struct store_txn *t, const char *user)
{
    struct str ranges = txn_secret(t, HOST_IDS, str_from(user));

    if (ranges.p == NULL)
        return txn_secret(t, FORMER_HOST_IDS, str_from(user)).p != NULL;
    if (txn_secret(t, FORMER_HOST_IDS, str_from(user)).p == NULL)
        txn_secret_put(t, FORMER_HOST_IDS, str_from(user), ranges);
    txn_secret_delete(t, HOST_IDS, str_from(user));
    return true;
}
