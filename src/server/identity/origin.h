#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "http/http.h"

/*
 * What a browser may be made to send us by somebody else's page (rules 1 to 3 of gateway/rules.h, with the dashboard
 * as the only origin of ours). Programs that are no browsers send neither Origin nor Sec-Fetch-*.
 */
struct origin_policy {
    const char *const *hosts; /* names and addresses by which we are known, no brackets; NULL-terminated */
    bool any_address;         /* listening on every address: any literal one is ours (only names can be rebound) */
    uint16_t port;
    bool tls;
    const char *public; /* the origin by which browsers come where a proxy stands before us; NULL: none does */
};

struct origin_request {
    enum http_method method;
    const char *host, *origin;                        /* NULL: absent */
    const char *fetch_site, *fetch_mode, *fetch_dest; /* Sec-Fetch-*; NULL: absent */
};

/* Rule 1: the Host is one of ours (else some name was rebound to our address). */
int origin_check_host(const struct origin_policy *policy, const char *host, struct error **err) _must_check_;
/* Rules 2 and 3. Without a `policy` no web page at all is of ours. */
int origin_check_source(const struct origin_policy *policy, const struct origin_request *r, struct error **err)
    _must_check_;
