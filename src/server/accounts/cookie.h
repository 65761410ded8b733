#pragma once

#include <stdbool.h>

#include "base/buffer.h"
#include "base/str.h"

/*
 * The session's cookie (RFC 6265). The prefix __Host-Http- makes browsers that know it refuse one that a page or
 * another path sets (RFC 6265bis §4.1.3); all others at least want Secure, the path / and no domain. Where plain HTTP
 * is spoken on other than loopback addresses (--insecure), browsers take no Secure cookie, and the name is a plain one.
 */
#define COOKIE_SECURE "__Host-Http-open-hydra"
#define COOKIE_PLAIN "open-hydra-session"

static inline const char *cookie_name(bool secure)
{
    return secure ? COOKIE_SECURE : COOKIE_PLAIN;
}

/* Cuts the next value with that name off the Cookie header `*rest`. A page of another port can add cookies of the same
 * name (with a path of their own, sent first), so that there may be several. */
bool cookie_next(struct str *rest, const char *name, struct str *value);

/* The Set-Cookie value; without a token: the one that removes it. */
void cookie_write(struct buffer *b, bool secure, const char *token, unsigned max_age);
