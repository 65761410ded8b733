#include "server/hooks/pull_secret.h"

#include "base/clock.h"
#include "base/secret.h"

#define SCOPE "pull-secret"
#define FIELD "spec.imagePullSecret"
#define SET_AT "pullSecretSetAt"

static void set_status(struct admission *a, const char *when)
{
    if (when)
        json_mut_set_str(a->doc, json_mut_make_obj(a->doc, a->object, "status"), SET_AT, when);
    else if (json_mut_at(a->object, "status"))
        json_mut_remove(json_mut_at(a->object, "status"), SET_AT);
}

void pull_secret_forget(struct admission *a, struct store_txn *t)
{
    txn_secret_delete(t, SCOPE, str_from(json_mut_str_at(a->object, "metadata.uid")));
}

int pull_secret_admit(struct admission *a, struct store_txn *t, struct error **err)
{
    struct str uid = str_from(json_mut_str_at(a->object, "metadata.uid")), now = txn_secret(t, SCOPE, uid);
    const char *sent = a->secrets[0];
    char when[TIMESTAMP_SIZE];

    if (json_mut_at(a->object, FIELD) == NULL) {
        pull_secret_forget(a, t);
        set_status(a, NULL);
        return 0;
    }
    if (sent == NULL && now.p == NULL)
        return error_add_cause(err, FIELD ".password", "FieldValueRequired", "Required value");
    if (sent == NULL || (now.p && str_is(now, sent)))
        return 0;
    txn_secret_put(t, SCOPE, uid, str_from(sent));
    timestamp_micro(when, clock_realtime_us());
    set_status(a, when);
    return 0;
}

void pull_secret_keep_status(struct admission *a)
{
    set_status(a, json_str_at(a->old, "status." SET_AT));
}

static int read_username(const struct object *object, struct arena *a, const char **out, struct error **err)
{
    _cleanup_json_ yyjson_doc *doc = json_parse(object->json, err);
    const char *username = doc ? json_str_at(yyjson_doc_get_root(doc), FIELD ".username") : NULL;

    if (doc == NULL)
        return -1;
    *out = username ? arena_strdup(a, username) : NULL;
    return 0;
}

static int answer(const struct hook_context *context, const struct object *object, char **out, struct error **err)
{
    _cleanup_arena_ struct arena *a = arena_new();
    _cleanup_json_mut_ yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *root = yyjson_mut_obj(doc);
    const char *username;
    size_t n;

    if (read_username(object, a, &username, err) < 0)
        return -1;
    _cleanup_secret_ char *password = store_secret(context->store, SCOPE, str_from(object->uid), &n);
    if (username == NULL || password == NULL)
        return error_set(err, REASON_NOT_FOUND, "sandbox %s has no " FIELD, object->name);
    yyjson_mut_doc_set_root(doc, root);
    json_mut_set_str(doc, root, "username", username);
    json_mut_set_str(doc, root, "password", password);
    *out = json_mut_write(root, &n);
    return 0;
}

void pull_secret_tell(struct request *r, struct object *object, void *context)
{
    _cleanup_secret_ char *text = NULL;
    struct error *err = NULL;

    if (answer(context, object, &text, &err) < 0)
        request_fail(r, err);
    else
        request_reply(r, 200, "application/json", str_from(text));
}
