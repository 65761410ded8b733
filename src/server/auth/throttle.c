#include "server/auth/throttle.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/map.h"
#include "base/thread.h"

#define SECOND ((int64_t)1000000)
#define MAX_ENTRIES 8192
#define MAX_DELAY 60 /* seconds */
#define MAX_DOUBLINGS 6
#define KEY_MAX 80

struct rule {
    char prefix;      /* of the key */
    unsigned free;    /* failures without a wait */
    int64_t forgiven; /* one failure each so many microseconds */
};
static const struct rule account_rule = {'u', 5, 120 * SECOND};
static const struct rule address_rule = {'a', 60, 5 * SECOND};

struct entry {
    struct entry *newer, *older;
    char key[KEY_MAX];
    unsigned failures;
    int64_t counted_us; /* up to when failures were forgiven */
    int64_t blocked_until_us;
};

struct throttle {
    pthread_mutex_t lock;
    struct map *entries;
    struct entry *newest, *oldest;
};

struct throttle *throttle_new(void)
{
    struct throttle *t = xcalloc(1, sizeof(*t));
    pthread_mutex_init(&t->lock, NULL);
    t->entries = map_new();
    return t;
}

void throttle_free(struct throttle *t)
{
    if (t == NULL)
        return;
    map_free(t->entries, free);
    pthread_mutex_destroy(&t->lock);
    free(t);
}

/* A home has a whole /64 of IPv6 addresses to itself (RFC 6177): that much is one client. */
static void make_key(char key[static KEY_MAX], const struct rule *rule, const char *name)
{
    struct in6_addr v6;

    if (rule == &address_rule && inet_pton(AF_INET6, name, &v6) == 1) {
        memset(&v6.s6_addr[8], 0, 8);
        key[0] = rule->prefix;
        inet_ntop(AF_INET6, &v6, key + 1, KEY_MAX - 1);
        return;
    }
    snprintf(key, KEY_MAX, "%c%s", rule->prefix, name);
}

static void unlink_entry(struct throttle *t, struct entry *e)
{
    *(e->newer ? &e->newer->older : &t->newest) = e->older;
    *(e->older ? &e->older->newer : &t->oldest) = e->newer;
}

static void link_newest(struct throttle *t, struct entry *e)
{
    e->newer = NULL;
    e->older = t->newest;
    *(t->newest ? &t->newest->newer : &t->oldest) = e;
    t->newest = e;
}

static void drop(struct throttle *t, struct entry *e)
{
    unlink_entry(t, e);
    map_remove(t->entries, str_from(e->key));
    free(e);
}

static void forgive(struct entry *e, const struct rule *rule, int64_t now_us)
{
    int64_t n = (now_us - e->counted_us) / rule->forgiven;

    if (n <= 0)
        return;
    e->failures = n >= e->failures ? 0 : e->failures - (unsigned)n;
    e->counted_us += n * rule->forgiven;
}

static struct entry *find(struct throttle *t, const struct rule *rule, const char *name, int64_t now_us)
{
    char key[KEY_MAX];

    make_key(key, rule, name);
    struct entry *e = map_get(t->entries, str_from(key));
    if (e)
        forgive(e, rule, now_us);
    return e;
}

static struct entry *find_or_add(struct throttle *t, const struct rule *rule, const char *name, int64_t now_us)
{
    struct entry *e = find(t, rule, name, now_us);

    if (e) {
        unlink_entry(t, e);
    } else {
        if (map_size(t->entries) >= MAX_ENTRIES)
            /* Dropped ones are in no list any more. NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
            drop(t, t->oldest);
        e = xcalloc(1, sizeof(*e));
        make_key(e->key, rule, name);
        e->counted_us = now_us;
        map_set(t->entries, str_from(e->key), e);
    }
    link_newest(t, e);
    return e;
}

static unsigned wait_of(const struct entry *e, int64_t now_us)
{
    return e && now_us < e->blocked_until_us ? (unsigned)((e->blocked_until_us - now_us + SECOND - 1) / SECOND) : 0;
}

static void count(struct throttle *t, const struct rule *rule, const char *name, int64_t now_us)
{
    struct entry *e = find_or_add(t, rule, name, now_us);

    if (e->failures == 0)
        e->counted_us = now_us;
    if (e->failures < rule->free + MAX_DOUBLINGS + 1)
        e->failures++;
    if (e->failures > rule->free) {
        int64_t seconds = (int64_t)1 << (e->failures - rule->free - 1);
        e->blocked_until_us = now_us + (seconds < MAX_DELAY ? seconds : MAX_DELAY) * SECOND;
    }
}

unsigned throttle_begin(struct throttle *t, const char *account, const char *address, int64_t now_us)
{
    LOCK_SCOPE(&t->lock);
    unsigned a = wait_of(find(t, &account_rule, account, now_us), now_us);
    unsigned b = wait_of(find(t, &address_rule, address, now_us), now_us);

    if (a || b)
        return a > b ? a : b;
    count(t, &account_rule, account, now_us);
    count(t, &address_rule, address, now_us);
    return 0;
}

void throttle_succeeded(struct throttle *t, const char *account, const char *address, int64_t now_us)
{
    LOCK_SCOPE(&t->lock);
    struct entry *of_account = find(t, &account_rule, account, now_us);
    if (of_account)
        drop(t, of_account);
    struct entry *of_address = find(t, &address_rule, address, now_us);
    if (of_address && of_address->failures)
        of_address->failures--;
    if (of_address && of_address->failures <= address_rule.free)
        of_address->blocked_until_us = 0;
}
