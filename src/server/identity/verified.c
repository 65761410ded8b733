#include "server/identity/verified.h"

#include <pthread.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/map.h"
#include "base/random.h"
#include "base/thread.h"

#define LIFE_US ((int64_t)5 * 60 * 1000000)
#define MAX_ENTRIES 4096

struct verified_entry {
    struct verified_entry *newer; /* in order of expiry: all live equally long */
    unsigned char digest[HASH_SIZE], stamp[HASH_SIZE];
    int64_t expires_us;
};

struct verified {
    pthread_mutex_t lock;
    unsigned char key[crypto_generichash_KEYBYTES];
    struct map *entries, *pending; /* digest → entry; digest → first waiter */
    struct verified_entry *oldest, *newest;
    size_t entries_len; /* of the list; one that was replaced in the map stays there until its time is over */
};

struct verified *verified_new(void)
{
    struct verified *v = xcalloc(1, sizeof(*v));
    pthread_mutex_init(&v->lock, NULL);
    random_bytes(v->key, sizeof(v->key));
    v->entries = map_new();
    v->pending = map_new();
    return v;
}

static struct str digest_key(const unsigned char digest[static HASH_SIZE])
{
    return (struct str){(const char *)digest, HASH_SIZE};
}

static void drop_oldest_verified(struct verified *v)
{
    struct verified_entry *e = v->oldest;

    v->oldest = e->newer;
    if (v->oldest == NULL)
        v->newest = NULL;
    /* A newer entry may have taken its place in the map. */
    if (map_get(v->entries, digest_key(e->digest)) == e)
        map_remove(v->entries, digest_key(e->digest));
    free(e);
    v->entries_len--;
}

void verified_free(struct verified *v)
{
    if (v == NULL)
        return;
    while (v->oldest)
        drop_oldest_verified(v);
    map_free(v->entries, NULL);
    map_free(v->pending, NULL);
    pthread_mutex_destroy(&v->lock);
    sodium_memzero(v->key, sizeof(v->key));
    free(v);
}

void verified_digest(const struct verified *v, const char *user, const char *password,
                     unsigned char out[static HASH_SIZE])
{
    crypto_generichash_state state;

    crypto_generichash_init(&state, v->key, sizeof(v->key), HASH_SIZE);
    /* With its NUL, the name is told apart from the password. */
    crypto_generichash_update(&state, (const unsigned char *)user, strlen(user) + 1);
    crypto_generichash_update(&state, (const unsigned char *)password, strlen(password));
    crypto_generichash_final(&state, out, HASH_SIZE);
    sodium_memzero(&state, sizeof(state));
}

void verified_stamp(const struct verified *v, const char *hash, unsigned char out[static HASH_SIZE])
{
    if (hash == NULL)
        hash = "";
    crypto_generichash(out, HASH_SIZE, (const unsigned char *)hash, strlen(hash), v->key, sizeof(v->key));
}

static void remember_verified(struct verified *v, const unsigned char *digest, const unsigned char *stamp,
                              int64_t now_us)
{
    struct verified_entry *e = xcalloc(1, sizeof(*e));

    memcpy(e->digest, digest, HASH_SIZE);
    memcpy(e->stamp, stamp, HASH_SIZE);
    e->expires_us = now_us + LIFE_US;
    *(v->newest ? &v->newest->newer : &v->oldest) = e;
    v->newest = e;
    v->entries_len++;
    map_set(v->entries, digest_key(digest), e);
    while (v->oldest->expires_us <= now_us || v->entries_len > MAX_ENTRIES)
        drop_oldest_verified(v);
}

static bool is_verified(const struct verified *v, const unsigned char *digest, const unsigned char *stamp,
                        int64_t now_us)
{
    const struct verified_entry *e = map_get(v->entries, digest_key(digest));
    return e && e->expires_us > now_us && sodium_memcmp(e->stamp, stamp, HASH_SIZE) == 0;
}

enum verified_state verified_begin(struct verified *v, const unsigned char digest[static HASH_SIZE],
                                   const unsigned char stamp[static HASH_SIZE], int64_t now_us,
                                   struct verified_waiter *waiter)
{
    LOCK_SCOPE(&v->lock);
    if (is_verified(v, digest, stamp, now_us))
        return VERIFIED_KNOWN;
    waiter->next = map_get(v->pending, digest_key(digest));
    map_set(v->pending, digest_key(digest), waiter);
    return waiter->next ? VERIFIED_JOINED : VERIFIED_YOURS;
}

struct verified_waiter *verified_end(struct verified *v, const unsigned char digest[static HASH_SIZE],
                                     const unsigned char *stamp, int64_t now_us)
{
    LOCK_SCOPE(&v->lock);
    if (stamp)
        remember_verified(v, digest, stamp, now_us);
    return map_remove(v->pending, digest_key(digest));
}
