#include "server/gateway/ticket.h"

#include <pthread.h>

#include "base/alloc.h"
#include "base/map.h"
#include "base/random.h"
#include "base/thread.h"

#define TOKEN_BYTES 48
/* Of the 64 characters the first 24 find the ticket; the others (30 bytes) are compared in constant time, since a map
 * is not. */
#define SELECTOR_CHARS 24
#define TOKEN_CHARS 64

struct ticket {
    struct ticket *next, *previous; /* in order of issue, which is that of expiry */
    char *token;
    struct arena *arena;
    struct pass pass;
    int64_t expires_us;
};

struct tickets {
    pthread_mutex_t lock;
    struct map *by_selector;
    struct ticket *oldest, *newest;
};

struct tickets *tickets_new(void)
{
    struct tickets *t = xcalloc(1, sizeof(*t));

    pthread_mutex_init(&t->lock, NULL);
    t->by_selector = map_new();
    return t;
}

static void ticket_free(struct ticket *k)
{
    arena_free(k->arena);
    free(k->token);
    free(k);
}

static struct str selector(struct str token)
{
    return (struct str){token.p, SELECTOR_CHARS};
}

static struct str secret(struct str token)
{
    return (struct str){token.p + SELECTOR_CHARS, token.n - SELECTOR_CHARS};
}

static void take_out(struct tickets *t, struct ticket *k)
{
    *(k->previous ? &k->previous->next : &t->oldest) = k->next;
    *(k->next ? &k->next->previous : &t->newest) = k->previous;
    map_remove(t->by_selector, selector(str_from(k->token)));
}

static void drop(struct tickets *t, struct ticket *k)
{
    take_out(t, k);
    ticket_free(k);
}

void tickets_free(struct tickets *t)
{
    if (t == NULL)
        return;
    while (t->oldest)
        /* What was dropped is in no list any more. NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
        drop(t, t->oldest);
    map_free(t->by_selector, NULL);
    pthread_mutex_destroy(&t->lock);
    free(t);
}

size_t tickets_count(struct tickets *t)
{
    LOCK_SCOPE(&t->lock);
    return map_size(t->by_selector);
}

static void drop_expired(struct tickets *t, int64_t now_us)
{
    /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): as above */
    while (t->oldest && t->oldest->expires_us <= now_us)
        drop(t, t->oldest);
}

static void drop_excess(struct tickets *t, const char *user)
{
    struct ticket *first = NULL;
    size_t n = 0;

    for (struct ticket *k = t->oldest; k; k = k->next) {
        if (!streq(k->pass.user, user))
            continue;
        if (first == NULL)
            first = k;
        n++;
    }
    if (n >= TICKETS_PER_USER)
        drop(t, first);
}

static struct pass copy_pass(struct arena *arena, const struct pass *p)
{
    struct pass out = *p;
    const char **strings[] = {&out.user, &out.session};

    for (size_t i = 0; i < ARRAY_SIZE(strings); i++)
        *strings[i] = arena_strdup(arena, *strings[i] ? *strings[i] : "");
    return out;
}

static struct ticket *ticket_new(const struct pass *p, int64_t now_us)
{
    struct ticket *k = xcalloc(1, sizeof(*k));

    k->arena = arena_new();
    k->pass = copy_pass(k->arena, p);
    k->token = random_token(TOKEN_BYTES);
    k->expires_us = now_us + (int64_t)TICKET_SECONDS * 1000000;
    return k;
}

char *tickets_issue(struct tickets *t, const struct pass *p, int64_t now_us, struct error **err)
{
    LOCK_SCOPE(&t->lock);

    drop_expired(t, now_us);
    drop_excess(t, p->user);
    if (map_size(t->by_selector) >= TICKETS_MAX) {
        error_set(err, REASON_TOO_MANY_REQUESTS, "too many environments are being opened at once");
        return NULL;
    }
    struct ticket *k = ticket_new(p, now_us);
    k->previous = t->newest;
    *(t->newest ? &t->newest->next : &t->oldest) = k;
    t->newest = k;
    map_set(t->by_selector, selector(str_from(k->token)), k);
    return xstrdup(k->token);
}

int tickets_redeem(struct tickets *t, struct str text, uint16_t port, int64_t now_us, struct arena *arena,
                   struct pass *out)
{
    if (text.n != TOKEN_CHARS)
        return -1;
    LOCK_SCOPE(&t->lock);
    drop_expired(t, now_us);
    struct ticket *k = map_get(t->by_selector, selector(text));
    if (k == NULL || !str_equal_secret(secret(text), secret(str_from(k->token))) || k->pass.port != port)
        return -1;
    *out = copy_pass(arena, &k->pass);
    drop(t, k);
    return 0;
}
