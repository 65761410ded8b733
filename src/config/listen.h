#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

/* HOST:PORT or HOST:FIRST-LAST */
struct listen_address {
    char *host; /* "127.0.0.1", "0.0.0.0", "::1" without brackets */
    uint16_t first, last;
};

/* "127.0.0.1:31000-31999", "[::]:443", "0.0.0.0:80". Returns 0, or -1 with what is wrong. */
int listen_parse(const char *text, struct listen_address *out, struct error **err) _must_check_;
bool listen_is_loopback(const struct listen_address *a);
bool listen_is_wildcard(const struct listen_address *a);
/* An IPv4 address of an interface that is up and no loopback; the caller frees. NULL: there is none. */
char *first_address_of_this_machine(void);
