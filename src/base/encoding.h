#pragma once

#include <stddef.h>

#include "base/attributes.h"
#include "base/buffer.h"
#include "base/str.h"

/* Of a hexadecimal digit, either case; -1: it is none. */
int hex_value(char c);
/* The caller frees what these return. */
char *hex_encode(const void *p, size_t n);
char *base64_encode(const void *p, size_t n);    /* RFC 4648 §4, padded */
char *base64url_encode(const void *p, size_t n); /* RFC 4648 §5, not padded */
/* Either alphabet, padding optional. Returns the bytes (NUL appended) and their number, or NULL where s is no base64.
 */
char *base64_decode(struct str s, size_t *n);
/* Percent-decodes; `plus` turns '+' into a blank (query strings). Returns NULL on a bad escape or an encoded NUL. */
char *percent_decode(struct str s, bool plus);
/* Percent-encodes everything but RFC 3986 unreserved characters. */
void buffer_percent_encode(struct buffer *b, struct str s);
