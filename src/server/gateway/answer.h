#pragma once

#include "http/http.h"

/* auth_request. With `last` it does not wait (again) for an endpoint. */
struct gateway;
void answer_request(struct gateway *g, struct http_exchange *x, bool last);
