#pragma once

#include "base/json.h"
#include "http/http.h"

/* The body, a JSON object; NULL: it is none. */
yyjson_doc *auth_body_read(struct http_exchange *x, struct error **err);

struct body_string {
    const char *name;
    char **place; /* the caller frees */
    bool optional;
};
/* The strings of a body; `wanted` ends with a row without a name. Returns -1 with all causes. */
int auth_body_strings(yyjson_val *body, const struct body_string *wanted, struct error **err) _must_check_;
/* They may be passwords: for when they have been read. */
void auth_body_wipe(yyjson_val *body);

/* As pasted. */
void auth_body_trim_password(char **password);
