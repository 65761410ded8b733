#pragma once

#include "server/auth/call.h"

/* What login, set-up and a changed password end with. */

/* In the transaction: a session of that account, kept in the call. `id` NULL: a new one. */
void auth_put_session(struct auth_call *c, struct store_txn *t, const struct account *account, const char *id);
/* In the transaction: the user may have been deleted, or the password changed, while this one was being verified. */
int auth_check_unchanged(struct store_txn *t, const struct auth_call *c, struct arena *arena, struct account *out,
                         struct error **err) _must_check_;
/* Answers with it, and frees the call. */
void auth_reply_new_session(struct auth_call *c, unsigned status);
int auth_wrong_login(struct error **err);
