#include "server/api/operation.h"

const char *verb_name(enum verb verb)
{
    static const char *const names[VERBS] = {
        [VERB_NONE] = "",       [VERB_GET] = "get",       [VERB_LIST] = "list",
        [VERB_WATCH] = "watch", [VERB_CREATE] = "create", [VERB_UPDATE] = "update",
        [VERB_PATCH] = "patch", [VERB_DELETE] = "delete", [VERB_DELETECOLLECTION] = "deletecollection",
    };
    return names[verb];
}

const char *operation_parameter(const struct operation *op, const char *name)
{
    for (size_t i = 0; i < op->parameters_len; i++)
        if (streq(op->parameters[i].name, name))
            return op->parameters[i].value;
    return NULL;
}

bool operation_flag(const struct operation *op, const char *name)
{
    const char *value = operation_parameter(op, name);

    return value && !streq(value, "false") && !streq(value, "0");
}

int operation_dry_run(const struct operation *op, bool *out, struct error **err)
{
    *out = false;
    for (size_t i = 0; i < op->parameters_len; i++) {
        if (!streq(op->parameters[i].name, "dryRun"))
            continue;
        if (!streq(op->parameters[i].value, "All"))
            return error_set(err, REASON_BAD_REQUEST, "dryRun: Unsupported value: \"%s\": supported values: \"All\"",
                             op->parameters[i].value);
        *out = true;
    }
    return 0;
}
