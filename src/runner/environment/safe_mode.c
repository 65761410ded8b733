#include "runner/environment/safe_mode.h"

#include <stdlib.h>

#include "base/alloc.h"

#define ASKED "Asked"

bool environment_is_safe(const struct environment *e, const struct device *d)
{
    return d->safe_mode || e->safe_reason != NULL;
}

bool environment_try_safe(struct environment *e, const char *reason, const char *message)
{
    if (e->safe_reason)
        return false;
    free(e->safe_message);
    e->safe_reason = xstrdup(reason);
    e->safe_message = xstrdup(message);
    e->dirty = true;
    return true;
}

void environment_read_safe(struct environment *e, yyjson_val *object)
{
    yyjson_val *said = device_condition(object, "SafeMode");
    const char *reason = json_str_at(said, "reason"), *message = json_str_at(said, "message");

    if (streq(json_str_at(said, "status"), "True") && reason && !streq(reason, ASKED))
        environment_try_safe(e, reason, message ? message : "");
}

struct safe_mode_words environment_safe_words(const struct environment *e, const struct device *d)
{
    if (e->safe_reason)
        return (struct safe_mode_words){e->safe_reason, e->safe_message};
    if (d->safe_mode)
        return (struct safe_mode_words){
            ASKED, "as its owner asked: settings, packages and start files in the home are not read. Delete the "
                   "environment and create it again to leave safe mode"};
    return (struct safe_mode_words){NULL, NULL};
}
