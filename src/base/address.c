#include "base/address.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

size_t address_parse(const char *text, unsigned char raw[static 16])
{
    if (inet_pton(AF_INET, text, raw) == 1)
        return 4;
    return inet_pton(AF_INET6, text, raw) == 1 ? 16 : 0;
}

bool is_address(const char *text)
{
    unsigned char raw[16];

    return address_parse(text, raw) != 0;
}

static int parse_network_address(struct str text, struct network *out)
{
    char copy[INET6_ADDRSTRLEN];

    if (text.n == 0 || text.n >= sizeof(copy) || memchr(text.p, '\0', text.n))
        return -1;
    memcpy(copy, text.p, text.n);
    copy[text.n] = '\0';
    *out = (struct network){.bits = 128};
    size_t n = address_parse(copy, out->address);
    if (n != 4)
        return n ? 0 : -1;
    memcpy(out->address + 12, out->address, 4);
    memset(out->address, 0, 10);
    memset(out->address + 10, 0xff, 2);
    return 0;
}

int network_parse(struct str text, struct network *out)
{
    struct str address;
    unsigned long long bits;

    if (!str_split(&text, '/', &address) || parse_network_address(address, out) < 0)
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
