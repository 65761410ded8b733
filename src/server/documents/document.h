#pragma once

#include "base/str.h"

/* A reply that is made once at start. */
struct document {
    struct str body;
    const char *content_type;
    const char *etag; /* quoted; a request whose If-None-Match holds it may be answered with 304 */
};
