#pragma once

#include "base/str.h"

#define ADDRESS_MAX 64

/* Who is one client: an IPv4 address (written within an IPv6 one too, RFC 4291 §2.5.5.2, as a listener for both does),
 * or the network of an IPv6 one: a home has a whole /64 to itself (RFC 6177), and browsers change the rest from day to
 * day. */
void address_client(char out[static ADDRESS_MAX], struct str address);
