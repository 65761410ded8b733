#pragma once

#include "server/accounts/accounts.h"
#include "server/accounts/familiar.h"

/*
 * One try of a password, by whatever way it came: counted (throttle.h), perhaps kept waiting, then looked at by a
 * worker, in turn with those of other clients.
 */
struct attempt {
    char *account, *address;
    char *browser; /* NULL: a strange one */
};
/* Where it comes from. */
struct attempt_source {
    const char *address, *cookies; /* cookies: the header, or NULL */
};
/* `account` as login_name wrote it. */
void attempt_init(struct attempt *t, struct accounts *a, const struct attempt_source *from, const char *account);
/* Counted as that browser (an id of what tells it from others), whatever it sent. */
void attempt_by_browser(struct attempt *t, const char *browser);
void attempt_clear(struct attempt *t);

/* Runs work(arg) on a worker, now or in a while; drop(arg) where the server ends before. Otherwise returns the seconds
 * after which another try is worth while. */
unsigned attempt_start(struct accounts *a, const struct attempt *t, void (*work)(void *), void (*drop)(void *),
                       void *arg);
/* 429 with the seconds to wait. Returns -1. */
int attempt_too_many(struct error **err, unsigned seconds);
/* It was right. */
void attempt_succeeded(struct accounts *a, const struct attempt *t);

/* From now on this browser is familiar to the account: in the transaction of the login, and with its answer, whose
 * Set-Cookie value it returns, in the arena (NULL: none; `cookies`: those that the browser sent). */
void attempt_prepare_familiar(struct store_txn *t);
const char *attempt_remember_browser(struct accounts *a, const struct familiar_account *account, const char *cookies,
                                     struct arena *arena);
