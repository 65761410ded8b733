#include "server/api/flow.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/address.h"
#include "base/alloc.h"
#include "base/map.h"
#include "base/thread.h"

#define MIB ((uint64_t)1 << 20)

/* Of each: one caller of that rank, and all of them together. The least that `all` leaves of what there is (16,384
 * connections of a socket, 64 readers of logs) is the share of administrators and the runner. */
static const struct limit {
    const char *name;
    uint64_t one[FLOW_RESERVED], all[FLOW_RESERVED];
} limits[FLOW_WHATS] = {
    [FLOW_REQUESTS] = {"requests at a time", {64, 32}, {2048, 4096}},
    [FLOW_WATCHES] = {"watches", {4, 64}, {64, 8192}},
    [FLOW_LOGS] = {"logs being read", {1, 4}, {1, 48}},
    [FLOW_BODIES] = {"bytes of request bodies", {4 * MIB, 8 * MIB}, {64 * MIB, 256 * MIB}},
};

/* A quarter of the event thread's time, and half a second of it at once: below the second that others may have to
 * wait, and far above what one person's browser or script asks for (a GET takes some microseconds). */
#define TIME_SHARE 4
#define TIME_AT_ONCE_US 500000
#define MAX_IDLE 4096

struct entry {
    struct entry *newer, *older; /* of the idle ones */
    struct flow_caller who;
    uint64_t held[FLOW_WHATS];
    unsigned holds;
    int64_t debt_us, counted_us; /* time used, and when that was */
};

struct flow {
    atomic_uint references; /* the owner's, and one of each hold */
    pthread_mutex_t lock;
    struct map *entries;
    struct entry *newest, *oldest; /* idle ones */
    size_t idle;
    uint64_t held[FLOW_RESERVED][FLOW_WHATS];
};

struct hold {
    struct flow *flow;
    struct entry *entry;
    enum flow_what what;
    uint64_t n;
};

struct flow_caller flow_user(const char *uid)
{
    struct flow_caller c = {.rank = FLOW_USER};
    snprintf(c.name, sizeof(c.name), "%s", uid);
    return c;
}

struct flow_caller flow_stranger(const char *address)
{
    struct flow_caller c = {.rank = FLOW_STRANGER};

    address_client(c.name, str_from(address));
    return c;
}

struct flow *flow_new(void)
{
    struct flow *f = xcalloc(1, sizeof(*f));

    f->references = 1;
    pthread_mutex_init(&f->lock, NULL);
    f->entries = map_new();
    return f;
}

void flow_free(struct flow *f)
{
    if (f == NULL || atomic_fetch_sub(&f->references, 1) != 1)
        return;
    map_free(f->entries, free);
    pthread_mutex_destroy(&f->lock);
    free(f);
}

size_t flow_entries(struct flow *f)
{
    LOCK_SCOPE(&f->lock);
    return map_size(f->entries);
}

/* --- Entries; all with the lock held --- */

/* The rank is part of the key: nobody gets a uid that reads like an address. */
static struct str key_of(const struct flow_caller *who, char key[static sizeof(who->name) + 1])
{
    int n = snprintf(key, sizeof(who->name) + 1, "%c%s", who->rank == FLOW_USER ? 'u' : 'a', who->name);
    return (struct str){key, (size_t)n};
}

static void unlink_idle(struct flow *f, struct entry *e)
{
    *(e->newer ? &e->newer->older : &f->newest) = e->older;
    *(e->older ? &e->older->newer : &f->oldest) = e->newer;
    e->newer = e->older = NULL;
    f->idle--;
}

static void link_idle(struct flow *f, struct entry *e)
{
    e->newer = NULL;
    e->older = f->newest;
    *(f->newest ? &f->newest->newer : &f->oldest) = e;
    f->newest = e;
    f->idle++;
}

static void forgive(struct entry *e, int64_t now_us)
{
    int64_t forgiven = (now_us - e->counted_us) / TIME_SHARE;

    /* What is less than a microsecond counts next time: who asks often is forgiven as well. */
    e->counted_us = forgiven < e->debt_us ? e->counted_us + forgiven * TIME_SHARE : now_us;
    e->debt_us = forgiven < e->debt_us ? e->debt_us - forgiven : 0;
}

/* Those that have nothing left to remember, and the longest untouched where there are too many. */
static void sweep(struct flow *f, int64_t now_us)
{
    char key[sizeof(((struct flow_caller *)0)->name) + 1];

    while (f->oldest) {
        struct entry *e = f->oldest;
        assert(e->older == NULL);
        forgive(e, now_us);
        if (e->debt_us > 0 && f->idle <= MAX_IDLE)
            return;
        unlink_idle(f, e);
        map_remove(f->entries, key_of(&e->who, key));
        free(e);
    }
}

static struct entry *find_entry(struct flow *f, const struct flow_caller *who)
{
    char key[sizeof(who->name) + 1];
    return map_get(f->entries, key_of(who, key));
}

static struct entry *find_or_add(struct flow *f, const struct flow_caller *who, int64_t now_us)
{
    char key[sizeof(who->name) + 1];
    struct entry *e = find_entry(f, who);

    if (e)
        return e;
    e = xcalloc(1, sizeof(*e));
    e->who = *who;
    e->counted_us = now_us;
    map_set(f->entries, key_of(who, key), e);
    link_idle(f, e);
    return e;
}

/* --- What is held --- */

static void give_back(void *arg)
{
    struct hold *h = arg;
    struct flow *f = h->flow;

    pthread_mutex_lock(&f->lock);
    h->entry->held[h->what] -= h->n;
    f->held[h->entry->who.rank][h->what] -= h->n;
    if (--h->entry->holds == 0)
        link_idle(f, h->entry);
    pthread_mutex_unlock(&f->lock);
    flow_free(f);
}

static int too_many(struct error **err, unsigned seconds, const char *whose, uint64_t limit, const char *what)
{
    error_set(err, REASON_TOO_MANY_REQUESTS, "too many %s: %s may have %llu", what, whose, (unsigned long long)limit);
    if (err)
        (*err)->retry_after = seconds;
    return -1;
}

static int check_limits(const struct flow *f, const struct entry *e, enum flow_what what, uint64_t n,
                        struct error **err)
{
    static const char *const one[] = {[FLOW_STRANGER] = "one address without a login", [FLOW_USER] = "one user"};
    static const char *const all[] = {
        [FLOW_STRANGER] = "all without a login together", [FLOW_USER] = "all users together"};
    enum flow_rank rank = e->who.rank;
    const struct limit *l = &limits[what];
    unsigned seconds = what == FLOW_REQUESTS || what == FLOW_BODIES ? 1 : 5;

    if (e->held[what] + n > l->one[rank])
        return too_many(err, seconds, one[rank], l->one[rank], l->name);
    if (f->held[rank][what] + n > l->all[rank])
        return too_many(err, seconds, all[rank], l->all[rank], l->name);
    return 0;
}

int flow_take(struct flow *f, enum flow_what what, uint64_t n, const struct flow_caller *who, struct arena *until,
              int64_t now_us, struct error **err)
{
    if (f == NULL || who->rank == FLOW_RESERVED)
        return 0;
    LOCK_SCOPE(&f->lock);
    sweep(f, now_us);
    struct entry *e = find_or_add(f, who, now_us);
    if (check_limits(f, e, what, n, err) < 0)
        return -1;
    if (e->holds++ == 0)
        unlink_idle(f, e);
    e->held[what] += n;
    f->held[who->rank][what] += n;
    atomic_fetch_add(&f->references, 1);
    struct hold *h = arena_alloc(until, sizeof(*h));
    *h = (struct hold){f, e, what, n};
    arena_defer(until, give_back, h);
    return 0;
}

/* --- Time --- */

void flow_charge(struct flow *f, const struct flow_caller *who, int64_t took_us, int64_t now_us)
{
    if (f == NULL || who->rank == FLOW_RESERVED || took_us <= 0)
        return;
    LOCK_SCOPE(&f->lock);
    struct entry *e = find_or_add(f, who, now_us);
    forgive(e, now_us);
    e->debt_us += took_us;
    if (e->holds)
        return;
    unlink_idle(f, e);
    link_idle(f, e);
}

int flow_has_time(struct flow *f, const struct flow_caller *who, int64_t now_us, struct error **err)
{
    if (f == NULL || who->rank == FLOW_RESERVED)
        return 0;
    LOCK_SCOPE(&f->lock);
    struct entry *e = find_entry(f, who);
    if (e == NULL)
        return 0;
    forgive(e, now_us);
    if (e->debt_us <= TIME_AT_ONCE_US)
        return 0;
    error_set(err, REASON_TOO_MANY_REQUESTS,
              "your requests take too much of the server's time: each caller has a quarter of it");
    if (err)
        (*err)->retry_after = (unsigned)((e->debt_us - TIME_AT_ONCE_US) * TIME_SHARE / 1000000 + 1);
    return -1;
}
