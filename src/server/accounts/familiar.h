#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/str.h"

/*
 * A browser in which somebody has logged in keeps a mark of it, which outlives the session, so that strangers' wrong
 * passwords do not hold up its owner (throttle.h). It opens nothing: whoever steals one may guess a few times more.
 *
 * The marks of the last few accounts are in one cookie, signed and not stored. Each is for a user's uid and the hash of
 * the password that was good: a changed password ends it everywhere but where it was changed.
 */
#define FAMILIAR_KEY_BYTES 32
struct familiar_keys {
    unsigned char seal[FAMILIAR_KEY_BYTES], mark[16];
};
void familiar_keys_derive(struct familiar_keys *keys, const unsigned char master[static FAMILIAR_KEY_BYTES]);

struct familiar_account {
    const char *uid, *hash;
};
/* What tells this browser from others, in the arena; NULL: the account has not logged in here. `cookies`: the header.
 */
const char *familiar_find(struct arena *arena, const struct familiar_keys *keys, const char *cookies, bool secure,
                          const struct familiar_account *account, int64_t now_us);
/* The Set-Cookie value that adds the account to those of `cookies`; in the arena. */
const char *familiar_cookie(struct arena *arena, const struct familiar_keys *keys, const char *cookies, bool secure,
                            const struct familiar_account *account, int64_t now_us);
