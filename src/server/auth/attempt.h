#pragma once

#include "server/auth/room.h"

/*
 * One try of a password, by whatever way it came: counted (throttle.h), perhaps kept waiting, then looked at by a
 * worker.
 */
struct attempt {
    char *account, *address;
    char *browser; /* NULL: a strange one */
};
/* Of a request; `account` as login_name wrote it. */
void attempt_init(struct attempt *t, struct auth *a, struct http_exchange *x, const char *account);
void attempt_clear(struct attempt *t);

/* Runs work(arg) on a worker, now or in a while; drop(arg) where the server ends before. Otherwise returns the seconds
 * after which another try is worth while. */
unsigned attempt_start(struct auth *a, const struct attempt *t, void (*work)(void *), void (*drop)(void *), void *arg);
/* It was right. */
void attempt_succeeded(struct auth *a, const struct attempt *t);

/* From now on this browser is familiar to the account: in the transaction of the login, and with its answer. */
void familiar_prepare(struct store_txn *t);
void familiar_remember(struct auth *a, struct http_exchange *x, const struct familiar_account *account);
