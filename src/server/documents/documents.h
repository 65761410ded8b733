#pragma once

#include "base/buffer.h"
#include "server/documents/document.h"

/* A set of replies by path, some in several forms. Filled once, then only read. */
struct documents;
struct documents *documents_new(void);
void documents_free(struct documents *d);
/* Takes the bytes out of the buffer. `form` is the caller's numbering. Returns the hash that the ETag holds. */
const char *documents_add(struct documents *d, const char *path, unsigned form, const char *content_type,
                          struct buffer *body);
/* A trailing slash is no difference. NULL: none. */
const struct document *documents_find(const struct documents *d, struct str path, unsigned form);
