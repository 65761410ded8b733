#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "server/accounts/session.h"

/*
 * Passwords that come with every request (Open-Hydra-Auth) and were verified a moment ago, so that argon2 runs once in
 * some minutes and not each time; and those being verified now, so that many requests at once need one run. Neither
 * holds a password: the key is a keyed hash of name and password. An entry is good only for the stored hash it was
 * verified against: a changed password or a deleted user ends it without being told.
 */
struct verified;
struct verified *verified_new(void);
void verified_free(struct verified *v);

/* Somebody who waits for an answer; embedded in the waiter's own structure. */
struct verified_waiter {
    struct verified_waiter *next;
};

/* Keyed hashes (the key lives as long as the process). `hash` NULL: no such user, or none with a password. */
void verified_digest(const struct verified *v, const char *user, const char *password,
                     unsigned char out[static HASH_SIZE]);
void verified_stamp(const struct verified *v, const char *hash, unsigned char out[static HASH_SIZE]);

enum verified_state {
    VERIFIED_KNOWN,  /* right */
    VERIFIED_JOINED, /* somebody is at it: `waiter` is told */
    VERIFIED_YOURS,  /* the caller verifies, and calls verified_end; `waiter` is the first of the list */
};
enum verified_state verified_begin(struct verified *v, const unsigned char digest[static HASH_SIZE],
                                   const unsigned char stamp[static HASH_SIZE], int64_t now_us,
                                   struct verified_waiter *waiter);
/* Returns all who waited. With `stamp`, the password was right for the hash of that stamp. */
struct verified_waiter *verified_end(struct verified *v, const unsigned char digest[static HASH_SIZE],
                                     const unsigned char *stamp, int64_t now_us);
