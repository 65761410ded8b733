#include "server/gateway/client.h"

#include <stdio.h>

#include "base/address.h"

#define BROWSER_MAX 512 /* longer names end here */

pass_mark client_mark(const struct pass_keys *keys, const struct gateway_request *r, uid_t user)
{
    char text[ADDRESS_MAX + BROWSER_MAX + 16], address[ADDRESS_MAX];

    address_client(address, r->address);
    snprintf(text, sizeof(text), "%s\n%u\n%.*s", address, user,
             r->browser.n < BROWSER_MAX ? (int)r->browser.n : BROWSER_MAX, r->browser.n ? r->browser.p : "");
    return pass_mark_of(keys, text);
}
