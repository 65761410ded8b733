#pragma once

#include <microhttpd.h>

#include "http/http.h"

struct http_server;

/* Headers are there; the body is not. */
enum MHD_Result body_begin(struct http_exchange *x);
enum MHD_Result body_take(struct http_exchange *x, const char *data, size_t *n);
enum MHD_Result body_too_large(struct http_exchange *x);
/* It is no longer one that is coming. False: it was answered before it was whole, and the connection ends. */
bool body_end(struct http_exchange *x);
/* Those that take too long; from the hang-up thread, each second. */
void bodies_check(struct http_server *s, int64_t now_us);
/* `seconds` 0: the usual. */
bool body_is_late(int64_t took_us, size_t received, unsigned seconds);
