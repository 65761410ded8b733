#include "base/map.h"

#include <pthread.h>
#include <sodium.h>
#include <stdint.h>

#include "base/alloc.h"
#include "base/random.h"

/* Open addressing with linear probing; a removed slot shifts its followers back, so there are no tombstones. */
struct slot {
    char *key;
    size_t n;
    uint64_t hash;
    void *value;
};

struct map {
    struct slot *slots;
    size_t capacity; /* a power of two */
    size_t used;
};

static unsigned char hash_key[crypto_shorthash_KEYBYTES];
static pthread_once_t hash_once = PTHREAD_ONCE_INIT;

static void make_hash_key(void)
{
    random_bytes(hash_key, sizeof(hash_key));
}

static uint64_t hash_of(struct str key)
{
    uint64_t out;
    crypto_shorthash((unsigned char *)&out, (const unsigned char *)key.p, key.n, hash_key);
    return out;
}

struct map *map_new(void)
{
    pthread_once(&hash_once, make_hash_key);
    struct map *m = xcalloc(1, sizeof(*m));
    m->capacity = 16;
    m->slots = xcalloc(m->capacity, sizeof(*m->slots));
    return m;
}

void map_free(struct map *m, void (*free_value)(void *))
{
    if (m == NULL)
        return;
    for (size_t i = 0; i < m->capacity; i++) {
        if (m->slots[i].key && free_value)
            free_value(m->slots[i].value);
        free(m->slots[i].key);
    }
    free(m->slots);
    free(m);
}

static size_t find(const struct map *m, struct str key, uint64_t hash)
{
    size_t at = hash & (m->capacity - 1);

    while (m->slots[at].key) {
        const struct slot *s = &m->slots[at];
        if (s->hash == hash && s->n == key.n && memcmp(s->key, key.p, key.n) == 0)
            break;
        at = (at + 1) & (m->capacity - 1);
    }
    return at;
}

void *map_get(const struct map *m, struct str key)
{
    return m->slots[find(m, key, hash_of(key))].value;
}

static void grow(struct map *m)
{
    struct slot *old = m->slots;
    size_t n = m->capacity;

    m->capacity *= 2;
    m->slots = xcalloc(m->capacity, sizeof(*m->slots));
    for (size_t i = 0; i < n; i++)
        if (old[i].key)
            m->slots[find(m, (struct str){old[i].key, old[i].n}, old[i].hash)] = old[i];
    free(old);
}

void *map_set(struct map *m, struct str key, void *value)
{
    if (2 * (m->used + 1) > m->capacity)
        grow(m);
    uint64_t hash = hash_of(key);
    struct slot *s = &m->slots[find(m, key, hash)];
    if (s->key) {
        void *old = s->value;
        s->value = value;
        return old;
    }
    /* Not xstrndup: a key may hold NUL (digests, addresses). */
    char *copy = xmalloc(key.n + 1);
    memcpy(copy, key.p ? key.p : "", key.n);
    copy[key.n] = '\0';
    *s = (struct slot){copy, key.n, hash, value};
    m->used++;
    return NULL;
}

static bool may_move(const struct map *m, size_t from, size_t to)
{
    size_t home = m->slots[from].hash & (m->capacity - 1);
    return ((from - home) & (m->capacity - 1)) >= ((from - to) & (m->capacity - 1));
}

void *map_remove(struct map *m, struct str key)
{
    size_t gap = find(m, key, hash_of(key));
    void *value = m->slots[gap].value;

    if (m->slots[gap].key == NULL)
        return NULL;
    free(m->slots[gap].key);
    for (size_t at = (gap + 1) & (m->capacity - 1); m->slots[at].key; at = (at + 1) & (m->capacity - 1)) {
        if (!may_move(m, at, gap))
            continue;
        m->slots[gap] = m->slots[at];
        gap = at;
    }
    m->slots[gap] = (struct slot){0};
    m->used--;
    return value;
}

size_t map_size(const struct map *m)
{
    return m->used;
}

bool map_next(const struct map *m, size_t *at, struct str *key, void **value)
{
    for (; *at < m->capacity; (*at)++) {
        const struct slot *s = &m->slots[*at];
        if (s->key == NULL)
            continue;
        *key = (struct str){s->key, s->n};
        *value = s->value;
        (*at)++;
        return true;
    }
    return false;
}
