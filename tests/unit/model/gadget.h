#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "kinds/kind.h"

/* A kind with one of everything, and the short ways of these tests. */
struct kind *gadget_kind(void);

struct gadget {
    yyjson_doc *text;
    yyjson_mut_doc *doc;
    yyjson_mut_val *object;
};
struct gadget gadget_parse(const char *json); /* any JSON */
void gadget_free(struct gadget *g);
/* Its text; valid until the next call. */
const char *gadget_text(const struct gadget *g);
void assert_json(const char *actual, const char *expected); /* in any order */
