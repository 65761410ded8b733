#include "server/gateway/rules.h"

static struct str header(const struct http_exchange *x, const char *name)
{
    return str_from(http_header(x, name));
}

/* 0: not said */
static uint16_t port_in(const struct http_exchange *x, const char *name)
{
    unsigned long long port;

    return str_to_u64(header(x, name), UINT16_MAX, &port) == 0 ? (uint16_t)port : 0;
}

int gateway_request_read(const struct http_exchange *x, struct gateway_request *out)
{
    *out = (struct gateway_request){
        .method = header(x, "X-Original-Method"),
        .uri = header(x, "X-Original-URI"),
        .host = header(x, "X-Original-Host"),
        .port = port_in(x, "X-Original-Port"),
        .scheme = header(x, "X-Original-Scheme"),
        .proxied = header(x, "X-Original-Proxied").n > 0,
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
        .peer_address = header(x, "X-Original-Peer-Address"),
        .peer_port = port_in(x, "X-Original-Peer-Port"),
        .own_address = header(x, "X-Original-Server-Address"),
        .own_port = port_in(x, "X-Original-Server-Port"),
    };
    return out->port && out->method.p && out->uri.p ? 0 : -1;
}
