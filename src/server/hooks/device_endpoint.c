#include "server/hooks/device_endpoint.h"

#include "base/alloc.h"
#include "server/api/api.h"

static int set_endpoint(struct gateway *gateway, const struct object *object, struct str body, struct error **err)
{
    _cleanup_json_ yyjson_doc *doc = json_parse(body, err);
    yyjson_val *root = yyjson_doc_get_root(doc);

    if (doc == NULL)
        return -1;
    struct endpoint e = {json_str_at(root, "deviceUid"), json_str_at(root, "socket"), json_str_at(root, "token")};
    if (e.device_uid == NULL || e.socket == NULL || e.token == NULL)
        return error_set(err, REASON_BAD_REQUEST, "deviceUid, socket and token are required");
    if (!streq(e.device_uid, object->uid))
        return error_set(err, REASON_CONFLICT, "the device has been created anew meanwhile: its uid is %s",
                         object->uid);
    return gateway_set_endpoint(gateway, object->name, &e, err);
}

void device_endpoint(struct http_exchange *x, struct object *object, const struct identity *who, void *context_arg)
{
    const struct hook_context *context = context_arg;
    struct error *err = NULL;

    if (set_endpoint(context->gateway, object, http_body(x), &err) < 0)
        api_reply_error(x, err);
    else
        http_reply(x, 200, "application/json", STR("{}"));
}

struct forgotten {
    struct gateway *gateway;
    char *uid;
};

static void forget(void *arg)
{
    const struct forgotten *f = arg;
    gateway_forget_endpoint(f->gateway, f->uid);
}

static void free_forgotten(void *arg)
{
    struct forgotten *f = arg;
    free(f->uid);
    free(f);
}

void endpoint_forget_after_commit(struct admission *a, struct store_txn *t)
{
    const struct hook_context *context = a->context;
    struct forgotten *f = xcalloc(1, sizeof(*f));

    *f = (struct forgotten){context->gateway, xstrdup(json_mut_str_at(a->object, "metadata.uid"))};
    txn_after_commit(t, forget, f, free_forgotten);
}
