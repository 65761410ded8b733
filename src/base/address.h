#pragma once

#include "base/str.h"

#define ADDRESS_MAX 64

/* A literal one, IPv4 or IPv6 without brackets. Returns how many bytes of `raw` it is (4, 16), or 0: it is none. */
size_t address_parse(const char *text, unsigned char raw[static 16]);
bool is_address(const char *text);

/* Who is one client: an IPv4 address (written within an IPv6 one too, RFC 4291 §2.5.5.2, as a listener for both does),
 * or the network of an IPv6 one: a home has a whole /64 to itself (RFC 6177), and browsers change the rest from day to
 * day. */
void address_client(char out[static ADDRESS_MAX], struct str address);

/* "10.42.0.0/16", "fd00::/8", or an address alone, which is a network of one. */
struct network {
    unsigned char address[16]; /* IPv4 as within IPv6: ::ffff:10.42.0.0 */
    unsigned bits;             /* of 128 */
};
/* Returns 0, or -1 where it is none. */
int network_parse(struct str text, struct network *out);
bool network_holds(const struct network *outer, const struct network *inner);
