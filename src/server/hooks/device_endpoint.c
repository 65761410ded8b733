#include "server/hooks/device_endpoint.h"

#include <stdio.h>

#include "base/alloc.h"
#include "base/clock.h"

struct told {
    struct endpoint list[ENDPOINTS_MAX];
    size_t n;
};

static int read_list(yyjson_val *list, struct told *out, struct error **err)
{
    yyjson_val *one;
    size_t i, n;

    if (yyjson_arr_size(list) > ENDPOINTS_MAX)
        return error_set(err, REASON_BAD_REQUEST, "endpoints: at most %d", ENDPOINTS_MAX);
    yyjson_arr_foreach (list, i, n, one) {
        struct endpoint e = {json_str_at(one, "name"), json_str_at(one, "address"), json_str_at(one, "token")};
        if (e.name == NULL || e.address == NULL)
            return error_set(err, REASON_BAD_REQUEST, "endpoints[%zu]: name and address are required", i);
        out->list[out->n++] = e;
    }
    return 0;
}

static int set_endpoints(const struct hook_context *context, const struct object *object, struct str body,
                         struct error **err)
{
    _cleanup_json_ yyjson_doc *doc = json_parse(body, err);
    yyjson_val *root = yyjson_doc_get_root(doc), *list = json_at(root, "endpoints");
    const char *uid = json_str_at(root, "deviceUid");
    struct told told = {0};

    if (doc == NULL)
        return -1;
    if (uid == NULL || !yyjson_is_arr(list))
        return error_set(err, REASON_BAD_REQUEST, "deviceUid and endpoints are required");
    if (read_list(list, &told, err) < 0)
        return -1;
    if (!streq(uid, object->uid))
        return error_set(err, REASON_CONFLICT, "the device has been created anew meanwhile: its uid is %s",
                         object->uid);
    return gateway_set_endpoints(context->gateway, uid, told.list, told.n, err);
}

void device_endpoint(struct request *r, struct object *object, void *context_arg)
{
    const struct hook_context *context = context_arg;
    struct error *err = NULL;

    if (set_endpoints(context, object, request_operation(r)->body, &err) < 0)
        request_fail(r, err);
    else
        request_reply(r, 200, "application/json", STR("{}"));
}

void device_visits(struct request *r, struct object *object, void *context_arg)
{
    const struct hook_context *context = context_arg;
    int64_t at = gateway_last_visit(context->gateway, object->uid);
    char when[TIMESTAMP_SIZE], body[64];

    timestamp(when, at);
    int n = at ? snprintf(body, sizeof(body), "{\"lastVisit\":\"%s\"}", when)
               : snprintf(body, sizeof(body), "{\"lastVisit\":null}");
    request_reply(r, 200, "application/json", (struct str){body, (size_t)n});
}

struct forgotten {
    struct gateway *gateway;
    char *uid;
};

static void forget_endpoints(void *arg)
{
    const struct forgotten *f = arg;
    gateway_forget_endpoints(f->gateway, f->uid);
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
    txn_after_commit(t, forget_endpoints, f, free_forgotten);
}
