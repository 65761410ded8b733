#include "server/gateway/client.h"

#include <stdio.h>

#include "base/address.h"

#define BROWSER_MAX 512 /* longer names end here */

pass_mark client_mark(const struct pass_keys *keys, const struct gateway_request *r)
{
    char text[ADDRESS_MAX + BROWSER_MAX + 2], address[ADDRESS_MAX];

    address_client(address, r->address);
    snprintf(text, sizeof(text), "%s\n%.*s", address, r->browser.n < BROWSER_MAX ? (int)r->browser.n : BROWSER_MAX,
             r->browser.n ? r->browser.p : "");
    return pass_mark_of(keys, text);
}
