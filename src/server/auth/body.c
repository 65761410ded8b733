#include "server/auth/body.h"

#include <sodium.h>

#include "base/alloc.h"
#include "base/secret.h"
#include "server/accounts/names.h"
#include "server/accounts/password.h"

void auth_body_wipe(yyjson_val *body)
{
    yyjson_val *key, *value;
    size_t i, n;

    yyjson_obj_foreach (body, i, n, key, value)
        if (yyjson_is_str(value))
            sodium_memzero((char *)(uintptr_t)yyjson_get_str(value), yyjson_get_len(value));
}

/* Holds no NUL. */
static int take_string(yyjson_val *v, const char *name, char **out, struct error **err)
{
    yyjson_val *value = yyjson_obj_get(v, name);
    const char *text = yyjson_get_str(value);

    if (text == NULL)
        return error_add_cause(err, name, "FieldValueRequired", "is required, as a string");
    if (strlen(text) != yyjson_get_len(value) || yyjson_get_len(value) > PASSWORD_MAX)
        return error_add_cause(err, name, "FieldValueInvalid", "is too long or holds a NUL");
    *out = xstrdup(text);
    return 0;
}

yyjson_doc *auth_body_read(struct http_exchange *x, struct error **err)
{
    _cleanup_json_ yyjson_doc *doc = json_parse(http_body(x), err);

    if (doc == NULL)
        return NULL;
    if (!yyjson_is_obj(yyjson_doc_get_root(doc))) {
        error_set(err, REASON_BAD_REQUEST, "the body must be a JSON object");
        return NULL;
    }
    return steal_ptr(doc);
}

void auth_body_trim_password(char **password)
{
    char *typed = *password;

    *password = typed ? login_password(typed) : NULL;
    secret_free(typed);
}

int auth_body_strings(yyjson_val *body, const struct body_string *wanted, struct error **err)
{
    int result = 0;

    for (; wanted->name; wanted++) {
        if (wanted->optional && yyjson_obj_get(body, wanted->name) == NULL)
            continue;
        if (take_string(body, wanted->name, wanted->place, err) < 0)
            result = -1;
    }
    return result;
}
