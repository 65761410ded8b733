#include "base/address.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

static int parse_address(struct str text, struct network *out)
{
    char copy[INET6_ADDRSTRLEN];
    struct in_addr v4;

    if (text.n == 0 || text.n >= sizeof(copy) || memchr(text.p, '\0', text.n))
        return -1;
    memcpy(copy, text.p, text.n);
    copy[text.n] = '\0';
    *out = (struct network){.bits = 128};
    if (inet_pton(AF_INET6, copy, out->address) == 1)
        return 0;
    if (inet_pton(AF_INET, copy, &v4) != 1)
        return -1;
    memset(out->address + 10, 0xff, 2);
    memcpy(out->address + 12, &v4, sizeof(v4));
    return 0;
}

int network_parse(struct str text, struct network *out)
{
    struct str address;
    unsigned long long bits;

    if (!str_split(&text, '/', &address) || parse_address(address, out) < 0)
        return -1;
    if (text.p == NULL)
        return 0;
    unsigned width = memchr(address.p, ':', address.n) ? 128 : 32;
    if (str_to_u64(text, width, &bits) < 0)
        return -1;
    out->bits = 128 - width + (unsigned)bits;
    return 0;
}

bool network_holds(const struct network *outer, const struct network *inner)
{
    size_t whole = outer->bits / 8;
    unsigned char mask = (unsigned char)(0xff00U >> (outer->bits % 8));

    if (inner->bits < outer->bits || memcmp(outer->address, inner->address, whole) != 0)
        return false;
    return whole == sizeof(outer->address) || ((outer->address[whole] ^ inner->address[whole]) & mask) == 0;
}

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
