#include "server/gateway/rules.h"

static struct str header(const struct http_exchange *x, const char *name)
{
    return str_from(http_header(x, name));
}

int gateway_request_read(const struct http_exchange *x, struct gateway_request *out)
{
    unsigned long long port;

    if (str_to_u64(header(x, "X-Original-Port"), UINT16_MAX, &port) < 0 || port == 0)
        return -1;
    *out = (struct gateway_request){
        .method = header(x, "X-Original-Method"),
        .uri = header(x, "X-Original-URI"),
        .host = header(x, "X-Original-Host"),
        .port = (uint16_t)port,
        .origin = header(x, "Origin"),
        .fetch_site = header(x, "Sec-Fetch-Site"),
        .fetch_mode = header(x, "Sec-Fetch-Mode"),
        .fetch_dest = header(x, "Sec-Fetch-Dest"),
        .service_worker = header(x, "Service-Worker"),
        .upgrade = header(x, "Upgrade"),
        .accept = header(x, "Accept"),
        .cookie = header(x, HTTP_COOKIES),
        .address = header(x, "X-Real-IP"),
        .browser = header(x, "User-Agent"),
        .own_address = header(x, "X-Original-Server-Address"),
    };
    if (str_to_u64(header(x, "X-Original-Client-Port"), UINT16_MAX, &port) == 0)
        out->client_port = (uint16_t)port;
    return out->method.p && out->uri.p ? 0 : -1;
}
