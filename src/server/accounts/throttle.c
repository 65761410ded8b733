#include "server/accounts/throttle.h"

#include <assert.h>
#include <pthread.h>
#include <sodium.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/address.h"
#include "base/alloc.h"
#include "base/map.h"
#include "base/thread.h"

#define SECOND ((int64_t)1000000)
#define MAX_ENTRIES 8192 /* of each table; 100 bytes each */
#define KEY_BYTES 16

enum { PAIR, ACCOUNT, ADDRESS, BROWSER, RULES };

struct throttle_rule {
    unsigned free, most;    /* failures without a wait, and remembered */
    int64_t forgiven;       /* one failure each so many microseconds */
    int64_t first, longest; /* from one attempt to the next: doubles */
    int64_t patience;       /* an attempt that would have to wait longer is refused … */
    bool refuses;           /* … or waits no longer than that */
};
static const struct throttle_rule rules[RULES] = {
    [PAIR] = {5, 11, 120 * SECOND, SECOND, 30 * SECOND, 0, true},
    [ACCOUNT] = {50, 100, 30 * SECOND, SECOND, SECOND, 4 * SECOND, false},
    [ADDRESS] = {60, 240, 5 * SECOND, SECOND / 5, SECOND / 5, 25 * SECOND, true},
    [BROWSER] = {10, 16, 120 * SECOND, SECOND, 30 * SECOND, 0, true},
};

struct throttle_entry {
    struct throttle_entry *newer, *older;
    char key[KEY_BYTES];
    unsigned failures;
    bool welcome;       /* of a pair: has logged in */
    int64_t counted_us; /* up to when failures were forgiven */
    int64_t next_us;    /* when another attempt may be looked at */
};

struct throttle_table {
    struct map *entries;
    struct throttle_entry *newest, *oldest;
};

struct throttle {
    pthread_mutex_t lock;
    struct throttle_table tables[RULES];
};

struct throttle *throttle_new(void)
{
    struct throttle *t = xcalloc(1, sizeof(*t));

    pthread_mutex_init(&t->lock, NULL);
    for (size_t i = 0; i < RULES; i++)
        t->tables[i].entries = map_new();
    return t;
}

void throttle_free(struct throttle *t)
{
    if (t == NULL)
        return;
    for (size_t i = 0; i < RULES; i++)
        map_free(t->tables[i].entries, free);
    pthread_mutex_destroy(&t->lock);
    free(t);
}

/* --- Whom a rule counts --- */

/* Names may be long, and are anybody's: entries hold a hash. */
static void make_throttle_key(char key[static KEY_BYTES], size_t rule, const struct throttle_attempt *attempt)
{
    char address[ADDRESS_MAX] = "";
    const char *parts[] = {rule == PAIR || rule == ACCOUNT || rule == BROWSER ? attempt->account : "",
                           rule == BROWSER ? attempt->browser : address};
    crypto_generichash_state state;

    if (rule == PAIR || rule == ADDRESS)
        address_client(address, str_from(attempt->address));
    crypto_generichash_init(&state, NULL, 0, KEY_BYTES);
    for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
        crypto_generichash_update(&state, (const unsigned char *)parts[i], strlen(parts[i]) + 1);
    crypto_generichash_final(&state, (unsigned char *)key, KEY_BYTES);
}

static struct str throttle_key(const char key[static KEY_BYTES])
{
    return (struct str){key, KEY_BYTES};
}

/* --- Tables --- */

static void unlink_entry(struct throttle_table *t, struct throttle_entry *e)
{
    *(e->newer ? &e->newer->older : &t->newest) = e->older;
    *(e->older ? &e->older->newer : &t->oldest) = e->newer;
}

static void link_newest(struct throttle_table *t, struct throttle_entry *e)
{
    e->newer = NULL;
    e->older = t->newest;
    *(t->newest ? &t->newest->newer : &t->oldest) = e;
    t->newest = e;
}

static void drop_oldest_entry(struct throttle_table *t)
{
    struct throttle_entry *e = t->oldest;

    assert(e && e->older == NULL);
    unlink_entry(t, e);
    map_remove(t->entries, throttle_key(e->key));
    free(e);
}

static void forgive_failures(struct throttle_entry *e, const struct throttle_rule *rule, int64_t now_us)
{
    int64_t n = (now_us - e->counted_us) / rule->forgiven;

    if (n <= 0)
        return;
    e->failures = n >= e->failures ? 0 : e->failures - (unsigned)n;
    e->counted_us += n * rule->forgiven;
}

/* The entry, made where there is none, and the newest now. */
static struct throttle_entry *touch_entry(struct throttle *all, size_t rule, const struct throttle_attempt *attempt,
                                          int64_t now_us)
{
    struct throttle_table *t = &all->tables[rule];
    char key[KEY_BYTES];

    make_throttle_key(key, rule, attempt);
    struct throttle_entry *e = map_get(t->entries, throttle_key(key));
    if (e) {
        unlink_entry(t, e);
        forgive_failures(e, &rules[rule], now_us);
    } else {
        if (map_size(t->entries) >= MAX_ENTRIES)
            /* Dropped ones are in no list any more. NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
            drop_oldest_entry(t);
        e = xcalloc(1, sizeof(*e));
        memcpy(e->key, key, KEY_BYTES);
        e->counted_us = now_us;
        map_set(t->entries, throttle_key(e->key), e);
    }
    link_newest(t, e);
    return e;
}

/* --- One attempt --- */

static int64_t wait_of(const struct throttle_entry *e, const struct throttle_rule *rule, int64_t now_us)
{
    int64_t wait = e->next_us > now_us ? e->next_us - now_us : 0;
    return !rule->refuses && wait > rule->patience ? rule->patience : wait;
}

static int64_t pause_after(const struct throttle_rule *rule, unsigned failures)
{
    int64_t pause = rule->first;

    for (unsigned n = rule->free + 1; n < failures && pause < rule->longest; n++)
        pause *= 2;
    return pause < rule->longest ? pause : rule->longest;
}

static void count_failure(struct throttle_entry *e, const struct throttle_rule *rule, int64_t now_us)
{
    if (e->failures == 0)
        e->counted_us = now_us;
    if (e->failures < rule->most)
        e->failures++;
    if (e->failures > rule->free)
        e->next_us = now_us + wait_of(e, rule, now_us) + pause_after(rule, e->failures);
}

static int64_t larger_time(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* Under all of these rules, or under none. */
static struct throttle_verdict judge_attempt(struct throttle *t, const struct throttle_attempt *attempt,
                                             const size_t *which, size_t n, int64_t now_us)
{
    struct throttle_verdict out = {0};
    struct throttle_entry *entries[RULES];
    int64_t refused = 0;

    for (size_t i = 0; i < n; i++) {
        const struct throttle_rule *rule = &rules[which[i]];
        entries[i] = touch_entry(t, which[i], attempt, now_us);
        int64_t wait = wait_of(entries[i], rule, now_us);
        if (wait > rule->patience)
            refused = larger_time(refused, wait - rule->patience);
        out.wait_us = larger_time(out.wait_us, wait);
    }
    if (refused)
        return (struct throttle_verdict){.refused = (unsigned)((refused + SECOND - 1) / SECOND)};
    for (size_t i = 0; i < n; i++)
        count_failure(entries[i], &rules[which[i]], now_us);
    return out;
}

struct throttle_verdict throttle_begin(struct throttle *t, const struct throttle_attempt *attempt, int64_t now_us)
{
    static const size_t familiar[] = {BROWSER}, stranger[] = {PAIR, ACCOUNT, ADDRESS};
    LOCK_SCOPE(&t->lock);

    if (attempt->browser) {
        struct throttle_verdict v = judge_attempt(t, attempt, familiar, 1, now_us);
        if (v.refused == 0)
            return v;
    }
    bool welcome = touch_entry(t, PAIR, attempt, now_us)->welcome;
    return judge_attempt(t, attempt, stranger, welcome ? 1 : ARRAY_SIZE(stranger), now_us);
}

static void give_back_failure(struct throttle *t, size_t rule, const struct throttle_attempt *attempt, int64_t now_us)
{
    struct throttle_entry *e = touch_entry(t, rule, attempt, now_us);

    if (e->failures)
        e->failures--;
    if (e->failures <= rules[rule].free)
        e->next_us = 0;
}

void throttle_succeeded(struct throttle *t, const struct throttle_attempt *attempt, int64_t now_us)
{
    LOCK_SCOPE(&t->lock);
    struct throttle_entry *pair = touch_entry(t, PAIR, attempt, now_us);

    pair->failures = 0;
    pair->next_us = 0;
    if (attempt->browser) {
        give_back_failure(t, BROWSER, attempt, now_us);
    } else if (!pair->welcome) {
        give_back_failure(t, ACCOUNT, attempt, now_us);
        give_back_failure(t, ADDRESS, attempt, now_us);
    }
    pair->welcome = true;
}
