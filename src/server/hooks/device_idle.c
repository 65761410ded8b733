#include "server/hooks/device_idle.h"

#include "base/clock.h"
#include "base/duration.h"
#include "server/accounts/users.h"
#include "server/hooks/objects.h"
#include "server/model/same.h"

/* --- What may be asked for --- */

static int check_keep_until(struct admission *a, struct error **err)
{
    const struct hook_context *context = a->context;
    const char *text = json_mut_str_at(a->object, "spec.keepUntil");
    uint64_t seconds = context->config->keep_until_max_seconds;
    char longest[DURATION_SIZE], last[TIMESTAMP_SIZE];
    int64_t until, most = clock_realtime_us() + (int64_t)seconds * 1000000;

    if (text == NULL || streq(text, json_str_at(a->old, "spec.keepUntil")) ||
        timestamp_parse(str_from(text), &until) < 0 || until <= most)
        return 0;
    duration_say(longest, seconds);
    timestamp(last, most);
    return error_add_cause(err, "spec.keepUntil", "FieldValueInvalid",
                           "Invalid value: \"%s\": at most %s ahead (keepUntilMax), which is until %s", text, longest,
                           last);
}

int device_check_idle_asked(struct admission *a, struct error **err)
{
    if (json_mut_at(a->object, "spec.idleStop"))
        return error_set(err, REASON_FORBIDDEN, "spec.idleStop: only an administrator may set it");
    return check_keep_until(a, err);
}

static bool is_unchanged(struct admission *a, const char *key)
{
    yyjson_val *before = yyjson_obj_get(json_at(a->old, "spec"), key);
    yyjson_mut_val *now = yyjson_mut_obj_get(json_mut_at(a->object, "spec"), key);

    if (before == NULL || now == NULL)
        return before == NULL && now == NULL;
    return value_same(now, yyjson_val_mut_copy(a->doc, before));
}

static int refuse(const char *key, struct error **err)
{
    return error_set(err, REASON_FORBIDDEN,
                     "spec.%s: of an environment that is there only spec.keepUntil may be changed without an "
                     "administrator",
                     key);
}

static int check_rest_unchanged(struct admission *a, struct error **err)
{
    yyjson_mut_obj_iter now = yyjson_mut_obj_iter_with(json_mut_at(a->object, "spec"));
    yyjson_obj_iter before = yyjson_obj_iter_with(json_at(a->old, "spec"));
    yyjson_mut_val *k;
    yyjson_val *old;

    while ((k = yyjson_mut_obj_iter_next(&now)))
        if (!yyjson_mut_equals_str(k, "keepUntil") && !is_unchanged(a, yyjson_mut_get_str(k)))
            return refuse(yyjson_mut_get_str(k), err);
    while ((old = yyjson_obj_iter_next(&before)))
        if (!yyjson_equals_str(old, "keepUntil") && !is_unchanged(a, yyjson_get_str(old)))
            return refuse(yyjson_get_str(old), err);
    return 0;
}

int device_check_idle_changed(struct admission *a, struct error **err)
{
    if (a->who->role != ROLE_USER)
        return 0;
    return check_rest_unchanged(a, err) < 0 ? -1 : check_keep_until(a, err);
}

/* --- What is left of it --- */

const char *device_idle_message(yyjson_mut_val *device)
{
    yyjson_mut_arr_iter iter = yyjson_mut_arr_iter_with(json_mut_at(device, "status.conditions"));
    yyjson_mut_val *one;

    while ((one = yyjson_mut_arr_iter_next(&iter)))
        if (streq(json_mut_str_at(one, "type"), "Idle") && streq(json_mut_str_at(one, "status"), "True"))
            return json_mut_str_at(one, "message");
    return NULL;
}

void device_note_ended(struct admission *a, struct store_txn *t, const char *owner)
{
    const char *message = device_idle_message(a->object);
    char now[TIMESTAMP_SIZE];

    if (message == NULL)
        return;
    _cleanup_json_mut_ yyjson_mut_doc *user = object_read_mutable(t, PLURAL_USERS, owner);
    if (user == NULL)
        return;
    timestamp(now, clock_realtime_us());
    yyjson_mut_val *status = json_mut_make_obj(user, yyjson_mut_doc_get_root(user), "status");
    yyjson_mut_val *last = yyjson_mut_obj(user);
    json_mut_set_str(user, last, "reason", "Idle");
    json_mut_set_str(user, last, "message", message);
    json_mut_set_str(user, last, "sandboxName", json_mut_str_at(a->object, "status.sandboxName"));
    json_mut_set_str(user, last, "endedAt", now);
    json_mut_set(user, status, "lastEnvironment", last);
    object_write(t, PLURAL_USERS, user);
}

void device_forget_ended(struct store_txn *t, const char *owner)
{
    _cleanup_json_mut_ yyjson_mut_doc *user = object_read_mutable(t, PLURAL_USERS, owner);
    yyjson_mut_val *status = user ? json_mut_at(yyjson_mut_doc_get_root(user), "status") : NULL;

    if (status == NULL || yyjson_mut_obj_get(status, "lastEnvironment") == NULL)
        return;
    json_mut_remove(status, "lastEnvironment");
    object_write(t, PLURAL_USERS, user);
}
