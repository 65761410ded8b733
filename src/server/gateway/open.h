#pragma once

#include "http/http.h"

/* A ticket's link, at the environment's own port. */
struct gateway;
void open_request(struct gateway *g, struct http_exchange *x);
