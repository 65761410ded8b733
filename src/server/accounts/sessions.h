#pragma once

#include "server/accounts/session.h"
#include "server/store/store.h"

/* All of them, in memory and in the store's secrets. */
struct sessions;
struct sessions *sessions_new(struct store *store);
/* After the store was closed: its last commits change this. */
void sessions_free(struct sessions *s);
/* A reference, or NULL where there is none that is still valid; `id` may be NULL. */
struct session *sessions_by_token(struct sessions *s, struct str token, int64_t now_us);
struct session *sessions_by_id(struct sessions *s, const char *id, int64_t now_us);
/* In a transaction; valid (or gone) in memory once that is committed. An earlier one with that id is replaced. The
 * oldest of a user who has very many, and expired ones of anybody, go meanwhile. */
void sessions_put(struct sessions *s, struct store_txn *t, struct session *session);
void sessions_remove(struct sessions *s, struct store_txn *t, const struct session *session);
/* Ends all sessions of a user, but the one given (NULL: none is spared); in the transaction that changes the password
 * or deletes the user. */
void sessions_end(struct sessions *s, struct store_txn *t, const char *user_uid, const char *spared);

/* How long one lives: unused, and at all. */
struct session_life {
    unsigned seconds, longest;
};
/* It is being used: its end moves. Written down once in a tenth of its life, so that a restart forgets no more. */
void sessions_use(struct store *store, struct session *session, const struct session_life *life, int64_t now_us);
