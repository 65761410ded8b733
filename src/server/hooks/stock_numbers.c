/* Units that are numbers: of a range, or counted on and on. */
#include <assert.h>
#include <stdio.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "server/hooks/stock.h"

#define COUNTERS "counter"

/* --- What holders have --- */

size_t units_of_holder(struct allotment *al, const struct resource *r, const char *holder, const char **out, size_t max)
{
    struct str rest = txn_secret(al->t, r->name, str_from(holder)), one;
    size_t n = 0;

    while (n < max && rest.p && str_split(&rest, ' ', &one))
        if (one.n)
            out[n++] = arena_str(al->arena, one).p;
    return n;
}

void units_put(struct allotment *al, const struct resource *r, const char *holder, const char *const *units, size_t n)
{
    _cleanup_buffer_ struct buffer b = BUFFER_MAX((size_t)64 << 10);

    assert(holder && n > 0 && n <= UNITS_MAX);
    for (size_t i = 0; i < n; i++)
        buffer_printf(&b, "%s%s", i ? " " : "", units[i]);
    txn_secret_put(al->t, r->name, str_from(holder), buffer_str(&b));
}

/* --- One number --- */

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

static const char *number_text(struct arena *a, uint64_t number)
{
    return arena_printf(a, "%llu", (unsigned long long)number);
}

static bool is_offered(const struct resource *r, const struct hook_context *context, struct str unit)
{
    struct resource_range range = r->range(context->config);
    unsigned long long number;

    return str_to_u64(unit, UINT64_MAX, &number) == 0 && number >= range.first && number <= range.last &&
           !(r->is_withheld && r->is_withheld(context, number));
}

static size_t count_offered(const struct resource *r, const struct hook_context *context)
{
    struct resource_range range = r->range(context->config);
    size_t n = 0;

    for (uint64_t unit = range.first; unit <= range.last; unit++)
        n += !(r->is_withheld && r->is_withheld(context, unit));
    return n;
}

static void add_unit(struct claim *c, const char *unit)
{
    if (c->found < c->wanted)
        c->units[c->found++] = unit;
}

static bool is_found(const struct claim *c, struct str unit)
{
    for (size_t i = 0; i < c->found; i++)
        if (str_is(unit, c->units[i]))
            return true;
    return false;
}

/* --- Counted --- */

static void find_counted(struct allotment *al, struct claim *c)
{
    const struct resource *r = c->resource;

    assert(c->wanted == 1);
    c->found = c->held = units_of_holder(al, r, c->holder, c->units, 1);
    if (c->found)
        return;
    const char *next =
        number_text(al->arena, get_number(al->t, COUNTERS, r->name, r->range(al->context->config).first));
    if (is_offered(r, al->context, str_from(next)))
        add_unit(c, next);
}

static void hold_counted(struct allotment *al, const struct claim *c)
{
    unsigned long long number;

    if (c->held || str_to_u64(str_from(c->units[0]), UINT64_MAX, &number) < 0)
        return;
    put_number(al->t, COUNTERS, c->resource->name, number + 1);
    units_put(al, c->resource, c->holder, c->units, 1);
}

static bool keep_counted(struct allotment *al, const struct resource *r, const char *holder)
{
    return false;
}

const struct stock stock_counted = {find_counted, hold_counted, keep_counted};

/* --- Of a range --- */

static void find_never_given(struct allotment *al, struct claim *c)
{
    const struct resource *r = c->resource;
    struct resource_range range = r->range(al->context->config);
    char key[24];

    for (uint64_t unit = range.first; unit <= range.last && c->found < c->wanted; unit++) {
        snprintf(key, sizeof(key), "%llu", (unsigned long long)unit);
        if (txn_secret(al->t, r->freed, str_from(key)).p == NULL && is_offered(r, al->context, str_from(key)))
            add_unit(c, arena_strdup(al->arena, key));
    }
}

struct longest_free {
    struct allotment *al;
    const struct claim *claim;
    struct str unit;
    unsigned long long since;
};

static bool compare_free(void *arg, struct str key, struct str value)
{
    struct longest_free *best = arg;
    unsigned long long since;

    if (str_to_u64(value, UINT64_MAX, &since) < 0 || since == 0 || (best->unit.n && since >= best->since))
        return true;
    if (is_offered(best->claim->resource, best->al->context, key) && !is_found(best->claim, key)) {
        best->unit = arena_str(best->al->arena, key);
        best->since = since;
    }
    return true;
}

static void find_longest_free(struct allotment *al, struct claim *c)
{
    while (c->found < c->wanted) {
        struct longest_free best = {.al = al, .claim = c};
        txn_secret_list(al->t, c->resource->freed, compare_free, &best);
        if (best.unit.n == 0)
            return;
        add_unit(c, best.unit.p);
    }
}

static void give_back(struct allotment *al, const struct resource *r, const char *unit)
{
    put_number(al->t, r->freed, unit, (uint64_t)clock_realtime_us());
}

/* Of those that are another program's by now, or out of the range: free, should they come back. */
static void find_held(struct allotment *al, struct claim *c)
{
    const char *units[UNITS_MAX];
    size_t n = units_of_holder(al, c->resource, c->holder, units, UNITS_MAX), kept = 0;

    for (size_t i = 0; i < n; i++)
        if (is_offered(c->resource, al->context, str_from(units[i])))
            units[kept++] = units[i];
        else
            give_back(al, c->resource, units[i]);
    if (kept && kept < n)
        units_put(al, c->resource, c->holder, units, kept);
    else if (n && kept == 0)
        txn_secret_delete(al->t, c->resource->name, str_from(c->holder));
    for (size_t i = 0; i < kept; i++)
        add_unit(c, units[i]);
    c->held = kept;
}

static void find_numbers(struct allotment *al, struct claim *c)
{
    find_held(al, c);
    if (c->found < c->wanted)
        find_never_given(al, c);
    if (c->found < c->wanted)
        find_longest_free(al, c);
    /* Where there are enough nobody asks how many there are. */
    c->total = c->found < c->wanted ? count_offered(c->resource, al->context) : c->found;
}

/* Who has more than this device needs keeps them. */
static void hold_numbers(struct allotment *al, const struct claim *c)
{
    if (c->found <= c->held)
        return;
    for (size_t i = c->held; i < c->found; i++)
        put_number(al->t, c->resource->freed, c->units[i], 0);
    units_put(al, c->resource, c->holder, c->units, c->found);
}

static bool release_numbers(struct allotment *al, const struct resource *r, const char *holder)
{
    const char *units[UNITS_MAX];
    size_t n = units_of_holder(al, r, holder, units, UNITS_MAX);

    for (size_t i = 0; i < n; i++)
        give_back(al, r, units[i]);
    if (n)
        txn_secret_delete(al->t, r->name, str_from(holder));
    return n > 0;
}

const struct stock stock_numbers = {find_numbers, hold_numbers, release_numbers};
