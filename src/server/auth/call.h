#pragma once

#include "server/accounts/attempt.h"
#include "server/auth/auth.h"

/* One slow call on its way: from the event thread to a worker, with what its body said. */
struct auth_call {
    struct auth *auth;
    struct http_exchange *x;
    struct attempt attempt;
    char *user, *password, *new_password, *chinese_name;
    bool bearer;
    char *session_id; /* of who changes a password */

    /* made on the way */
    char *hash, *new_hash;
    struct session *session;
    char *token, *key;
};
struct auth_call *auth_call_new(struct auth *a, struct http_exchange *x);
void auth_call_free(struct auth_call *c);
/* Answers, and frees the call; takes err. */
void auth_call_fail(struct auth_call *c, struct error *err);

/* Runs work(c) on a worker; where none is to be had, answers and frees the call. */
void auth_call_start(struct auth_call *c, void (*work)(void *));
/* The same for one that tries the password of c->user. `browser`: by which it is counted, NULL: the request's own. */
void auth_call_start_attempt(struct auth_call *c, const char *browser, void (*work)(void *));
