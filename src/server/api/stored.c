#include "server/api/stored.h"

#include <stdio.h>

#include "base/json.h"

static int check_field(yyjson_val *object, const char *path, const char *expected, struct error **err)
{
    const char *found = json_str_at(object, path);

    if (found && streq(found, expected))
        return 0;
    return error_set(err, REASON_INTERNAL, "its %s is \"%s\", and its row says \"%s\"", path, found ? found : "",
                     expected);
}

int stored_check(const struct object *o, struct error **err)
{
    _cleanup_json_ yyjson_doc *doc = json_parse(o->json, err);
    yyjson_val *root = yyjson_doc_get_root(doc);
    char revision[24];

    if (doc == NULL)
        return -1;
    /* Else nobody could read a list that it is in. */
    if (json_deeper_than(o->json, JSON_OBJECT_MAX_DEPTH))
        return error_set(err, REASON_INTERNAL, "it is nested more than %d levels deep", JSON_OBJECT_MAX_DEPTH);
    snprintf(revision, sizeof(revision), "%llu", (unsigned long long)o->revision);
    if (check_field(root, "metadata.name", o->name, err) < 0 || check_field(root, "metadata.uid", o->uid, err) < 0)
        return -1;
    return check_field(root, "metadata.resourceVersion", revision, err);
}
