#pragma once

#include <stdbool.h>

#include "http/http.h"

/* What nginx says of a request; it overwrites what a client wrote there. */
bool nginx_says_api_listener(const struct http_exchange *x);
/* What it thinks of the client's certificate: "SUCCESS" or what is wrong; NULL: there is none. Only the API's listener
 * asks for certificates. */
const char *nginx_says_certificate(const struct http_exchange *x);
/* Where it comes from; "" on sockets of ours. */
const char *nginx_says_address(const struct http_exchange *x);
