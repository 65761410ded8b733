#include "base/address.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

void address_client(char out[static ADDRESS_MAX], struct str address)
{
    struct in6_addr v6;

    snprintf(out, ADDRESS_MAX, "%.*s", address.n < ADDRESS_MAX ? (int)address.n : ADDRESS_MAX,
             address.n ? address.p : "");
    if (inet_pton(AF_INET6, out, &v6) != 1)
        return;
    if (IN6_IS_ADDR_V4MAPPED(&v6)) {
        inet_ntop(AF_INET, &v6.s6_addr[12], out, ADDRESS_MAX);
        return;
    }
    memset(&v6.s6_addr[8], 0, 8);
    inet_ntop(AF_INET6, &v6, out, ADDRESS_MAX);
}
