#include "server/auth/reply.h"

#include "base/clock.h"
#include "server/accounts/attempt.h"
#include "server/accounts/cookie.h"
#include "server/api/over_http.h"

#define REPLY_MAX 4096

static void add_string(struct buffer *b, const char *name, const char *value)
{
    if (value == NULL)
        return;
    buffer_printf(b, ",\"%s\":", name);
    buffer_json_string(b, str_from(value));
}

static void add_session(struct buffer *b, const struct session *s)
{
    char expires[TIMESTAMP_SIZE];

    timestamp(expires, s->expires_us);
    add_string(b, "expirationTimestamp", expires);
    if (s->well_known_password)
        buffer_puts(b, ",\"wellKnownPassword\":true");
    else
        buffer_puts(b, ",\"wellKnownPassword\":false");
}

static void write_session(struct auth *a, struct arena *arena, struct buffer *b, const struct session_view *v)
{
    struct account admin;
    bool disabled = a->accounts->config->disable_auth;

    buffer_printf(b, "{\"authenticated\":%s,\"setupRequired\":%s,\"authDisabled\":%s", v ? "true" : "false",
                  !disabled && !admins_first(a->accounts->admins, arena, &admin) ? "true" : "false",
                  disabled ? "true" : "false");
    if (v) {
        add_string(b, "username", v->account->name);
        add_string(b, "chineseName", v->account->chinese_name);
        buffer_printf(b, ",\"role\":%d", v->account->role);
        if (v->session)
            add_session(b, v->session);
        add_string(b, "key", v->key);
        if (v->session && !v->session->has_key)
            add_string(b, "token", v->token);
    }
    buffer_puts(b, "}\n");
}

static void set_cookie(const struct auth *a, struct http_exchange *x, const char *token)
{
    _cleanup_buffer_ struct buffer cookie = BUFFER_MAX(512);

    /* It may last so long: when it ends is the session's matter. */
    const struct config *c = a->accounts->config;
    cookie_write(&cookie, accounts_secure_cookies(a->accounts), token,
                 c->session_max_seconds > c->session_seconds ? c->session_max_seconds : c->session_seconds);
    http_add_header(x, "Set-Cookie", cookie.p);
}

static void remember_browser(struct auth *a, struct http_exchange *x, const struct familiar_account *account)
{
    const char *cookie = attempt_remember_browser(a->accounts, account, http_header(x, HTTP_COOKIES), http_arena(x));

    if (cookie)
        http_add_header(x, "Set-Cookie", cookie);
}

void auth_reply_session(struct auth *a, struct http_exchange *x, unsigned status, const struct session_view *v)
{
    _cleanup_buffer_ struct buffer body = BUFFER_MAX(REPLY_MAX);

    write_session(a, http_arena(x), &body, v);
    if (v && v->token && v->session->has_key)
        set_cookie(a, x, v->token);
    if (v && v->familiar)
        remember_browser(a, x, v->familiar);
    http_add_header(x, "Cache-Control", "no-store");
    http_reply(x, status, "application/json", buffer_str(&body));
}

void auth_reply_logged_out(struct auth *a, struct http_exchange *x)
{
    set_cookie(a, x, NULL);
    http_add_header(x, "Cache-Control", "no-store");
    http_reply(x, 204, NULL, (struct str){0});
}

void auth_reply_error(struct http_exchange *x, struct error *err)
{
    http_add_header(x, "Cache-Control", "no-store");
    api_reply_error(x, err);
}

void auth_reply_busy(struct http_exchange *x, unsigned seconds)
{
    struct error *err = NULL;

    attempt_too_many(&err, seconds);
    auth_reply_error(x, err);
}
