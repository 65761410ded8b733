#pragma once

#include "server/accounts/familiar.h"
#include "server/auth/auth.h"

/* What a Session answer says. The secrets are there where the session is new. */
struct session_view {
    const struct account *account;
    const struct session *session;           /* NULL: known by other means (certificate, password header) */
    const struct familiar_account *familiar; /* whom the browser is to remember; or NULL */
    const char *token, *key;
};
/* `v` NULL: nobody. */
void auth_reply_session(struct auth *a, struct http_exchange *x, unsigned status, const struct session_view *v);
void auth_reply_logged_out(struct auth *a, struct http_exchange *x);
void auth_reply_error(struct http_exchange *x, struct error *err); /* takes err */
void auth_reply_busy(struct http_exchange *x, unsigned seconds);
