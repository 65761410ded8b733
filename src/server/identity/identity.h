#pragma once

#include "http/http.h"
#include "server/accounts/accounts.h"
#include "server/api/authorize.h"

/*
 * Who sent a request. Its socket says that (runner.sock is the runner), or else, for what came through nginx, the first
 * provider that finds a claim of its kind in it (providers.c). Foreign origins are refused before (origin.h).
 */
struct identifier;
struct identifier *identifier_new(struct accounts *accounts);
/* After the HTTP servers have stopped and the workers have ended. */
void identifier_free(struct identifier *i);

/* Calls done once, perhaps on a worker thread: err NULL and who set (name "system:anonymous", role ROLE_NONE without
 * any claim), or err, which done must free. */
typedef void identity_done(struct http_exchange *x, const struct identity *who, struct error *err, void *arg);
void identity_find(struct identifier *i, struct http_exchange *x, identity_done *done, void *arg);

/* The same without any work: for what is decided before a request's body is read. 1: that is who it is; 0: a claim has
 * to be proven first. */
int identity_peek(struct identifier *i, struct http_exchange *x, struct identity *who, struct error **err) _must_check_;

/* The rules about origins alone, for a request that came through nginx. */
int identity_check_origin(const struct identifier *i, const struct http_exchange *x, struct error **err) _must_check_;

/* Whether somebody identified earlier would still be the same: session not ended, certificate not revoked, user there
 * in the same role. */
bool identity_still_holds(struct identifier *i, const struct identity *who);
/* For the gateway («who opens this environment»): whether the session with that id is still valid. `use`: somebody
 * works with it, so that it lasts on. */
bool identity_session_valid(struct identifier *i, const char *session_id, bool use);
