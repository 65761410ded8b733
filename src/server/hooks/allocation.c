#include "server/hooks/allocation.h"

#include <assert.h>
#include <stdio.h>

#include "base/clock.h"
#include "server/hooks/device_status.h"
#include "server/hooks/objects.h"
#include "server/hooks/waiting_list.h"
#include "server/model/metadata.h"

#define COUNTERS "counter"

/* Where a device says by whom its units are held. */
static const char *const holder_fields[] = {
    [HOLDER_USER] = "spec.openHydraUsername", [HOLDER_DEVICE] = "metadata.name"};

static uint64_t get_number(struct store_txn *t, const char *scope, const char *key, uint64_t otherwise)
{
    struct str value = txn_secret(t, scope, str_from(key));
    unsigned long long number;

    return value.p && str_to_u64(value, UINT64_MAX, &number) == 0 ? number : otherwise;
}

static void put_number(struct store_txn *t, const char *scope, const char *key, uint64_t number)
{
    char text[24];

    snprintf(text, sizeof(text), "%llu", (unsigned long long)number);
    txn_secret_put(t, scope, str_from(key), str_from(text));
}

static void put_unit(struct store_txn *t, const struct resource *r, uint64_t unit, uint64_t free_since_us)
{
    char key[24];

    assert(r->units && unit != 0);
    snprintf(key, sizeof(key), "%llu", (unsigned long long)unit);
    put_number(t, r->units, key, free_since_us);
}

/* --- One unit --- */

static bool is_offered(const struct resource *r, const struct hook_context *context, uint64_t unit)
{
    struct resource_range range = r->range(context->config);

    return unit >= range.first && unit <= range.last && !(r->is_withheld && r->is_withheld(context, unit));
}

static uint64_t never_given(struct store_txn *t, const struct resource *r, const struct hook_context *context)
{
    struct resource_range range = r->range(context->config);
    char key[24];

    for (uint64_t unit = range.first; unit <= range.last; unit++) {
        snprintf(key, sizeof(key), "%llu", (unsigned long long)unit);
        if (txn_secret(t, r->units, str_from(key)).p == NULL && is_offered(r, context, unit))
            return unit;
    }
    return 0;
}

struct longest_free {
    const struct resource *resource;
    const struct hook_context *context;
    uint64_t unit, since;
};

static bool compare_free(void *arg, struct str key, struct str value)
{
    struct longest_free *best = arg;
    unsigned long long unit, since;

    if (str_to_u64(key, UINT64_MAX, &unit) < 0 || str_to_u64(value, UINT64_MAX, &since) < 0)
        return true;
    if (since != 0 && is_offered(best->resource, best->context, unit) && (best->unit == 0 || since < best->since)) {
        best->unit = unit;
        best->since = since;
    }
    return true;
}

static uint64_t longest_free(struct store_txn *t, const struct resource *r, const struct hook_context *context)
{
    struct longest_free best = {.resource = r, .context = context};

    txn_secret_list(t, r->units, compare_free, &best);
    return best.unit;
}

static uint64_t next_counted(struct store_txn *t, const struct resource *r, const struct hook_context *context)
{
    uint64_t unit = get_number(t, COUNTERS, r->name, r->range(context->config).first);

    return is_offered(r, context, unit) ? unit : 0;
}

static uint64_t free_unit(struct store_txn *t, const struct resource *r, const struct hook_context *context)
{
    if (r->units == NULL)
        return next_counted(t, r, context);
    uint64_t unit = never_given(t, r, context);
    return unit ? unit : longest_free(t, r, context);
}

/* Whether there was one to be had back. */
static bool release_unit(struct store_txn *t, const struct resource *r, const char *holder)
{
    uint64_t unit = get_number(t, r->name, holder, 0);

    if (unit == 0 || r->units == NULL)
        return false;
    put_unit(t, r, unit, (uint64_t)clock_realtime_us());
    txn_secret_delete(t, r->name, str_from(holder));
    return true;
}

/* Of one that is another program's by now, or out of the range: free, should it come back. */
static uint64_t held_unit(struct store_txn *t, const struct resource *r, const struct hook_context *context,
                          const char *holder)
{
    uint64_t unit = get_number(t, r->name, holder, 0);

    if (r->units == NULL || is_offered(r, context, unit))
        return unit;
    (void)release_unit(t, r, holder);
    return 0;
}

static void hold_unit(struct store_txn *t, const struct resource *r, const char *holder, uint64_t unit)
{
    assert(holder && unit != 0);
    if (get_number(t, r->name, holder, 0) == unit)
        return;
    if (r->units)
        put_unit(t, r, unit, 0);
    else
        put_number(t, COUNTERS, r->name, unit + 1);
    put_number(t, r->name, holder, unit);
}

/* --- All of a device --- */

static const char *holder_of(const struct resource *r, const struct admission *a)
{
    return json_mut_str_at(a->object, holder_fields[r->holder]);
}

static uint64_t find_unit(struct store_txn *t, const struct resource *r, const struct admission *a)
{
    uint64_t unit = held_unit(t, r, a->context, holder_of(r, a));

    return unit ? unit : free_unit(t, r, a->context);
}

static void give_unit(struct store_txn *t, const struct resource *r, struct admission *a, uint64_t unit)
{
    hold_unit(t, r, holder_of(r, a), unit);
    r->write(a, unit);
}

static int give_what_never_waits(struct admission *a, struct store_txn *t, struct error **err)
{
    const struct hook_context *context = a->context;

    for (size_t i = 0; i < limited_resources_len; i++) {
        const struct resource *r = &limited_resources[i];
        if (r->reason)
            continue;
        uint64_t unit = find_unit(t, r, a);
        if (unit == 0)
            return r->refuse(context->config, err);
        give_unit(t, r, a, unit);
    }
    return 0;
}

/* The first of which none is to be had; NULL: it has everything. */
static const struct resource *give_or_wait(struct admission *a, struct store_txn *t)
{
    uint64_t units[RESOURCES_MAX];

    for (size_t i = 0; i < limited_resources_len; i++)
        if (limited_resources[i].reason && (units[i] = find_unit(t, &limited_resources[i], a)) == 0)
            return &limited_resources[i];
    for (size_t i = 0; i < limited_resources_len; i++)
        if (limited_resources[i].reason)
            give_unit(t, &limited_resources[i], a, units[i]);
    return NULL;
}

static void say_waiting(struct admission *a, const struct resource *r)
{
    device_say(a, PHASE_QUEUED, r->reason, r->message);
}

int allocation_give(struct admission *a, struct store_txn *t, struct error **err)
{
    assert(a->operation == OPERATION_CREATE);
    if (give_what_never_waits(a, t, err) < 0)
        return -1;
    const struct resource *lacking = give_or_wait(a, t);
    if (lacking == NULL) {
        device_say_queued(a);
        return 0;
    }
    for (size_t i = 0; i < limited_resources_len; i++)
        if (limited_resources[i].reason)
            limited_resources[i].write(a, 0);
    say_waiting(a, lacking);
    waiting_list_join(a, t, lacking->name);
    return 0;
}

/* --- Those who wait --- */

struct serving {
    struct store_txn *t;
    struct hook_context *context;
    const char *used_up[RESOURCES_MAX]; /* names: nobody else needs to be tried */
    size_t used_up_len;
};

static bool is_used_up(const struct serving *s, const char *resource)
{
    for (size_t i = 0; i < s->used_up_len; i++)
        if (streq(s->used_up[i], resource))
            return true;
    return false;
}

/* What it waits for may be another thing than before: said, as its place is, of those in front. */
static void serve_device(struct serving *s, struct waiting_device *w, bool in_front)
{
    _cleanup_json_mut_ yyjson_mut_doc *doc = object_read_mutable(s->t, PLURAL_DEVICES, w->device);
    struct admission a = {.doc = doc, .object = doc ? yyjson_mut_doc_get_root(doc) : NULL, .context = s->context};

    if (doc == NULL || metadata_is_deleting(a.object)) {
        w->left = true;
        return;
    }
    const struct resource *lacking = give_or_wait(&a, s->t);
    w->left = lacking == NULL;
    if (lacking && !is_used_up(s, lacking->name))
        s->used_up[s->used_up_len++] = lacking->name;
    if (lacking && (!in_front || streq(lacking->name, w->resource)))
        return;
    if (lacking) {
        w->resource = lacking->name;
        w->said = 0;
        say_waiting(&a, lacking);
    } else {
        device_say_queued(&a);
        device_write_outputs(&a, false);
    }
    object_write(s->t, PLURAL_DEVICES, doc);
}

int allocation_serve(struct store_txn *t, void *context, struct error **err)
{
    _cleanup_arena_ struct arena *arena = arena_new();
    struct serving s = {.t = t, .context = context};
    struct waiting_list list;

    waiting_list_read(t, arena, &list);
    for (size_t i = 0; i < list.n; i++)
        if (!is_used_up(&s, list.first[i].resource))
            serve_device(&s, &list.first[i], i < WAITING_EXACT);
    waiting_list_write(t, &list);
    return 0;
}

void allocation_release(struct store_txn *t, struct hook_context *context, enum resource_holder holder,
                        const char *name)
{
    bool released = false;

    for (size_t i = 0; i < limited_resources_len; i++)
        if (limited_resources[i].holder == holder && release_unit(t, &limited_resources[i], name))
            released = true;
    if (holder == HOLDER_DEVICE)
        waiting_list_leave(t, name);
    if (released)
        (void)allocation_serve(t, context, NULL); /* cannot fail: who gets none goes on waiting */
}

bool has_host_ids(struct store_txn *t, const char *user)
{
    return txn_secret(t, HOST_IDS, str_from(user)).p != NULL;
}
