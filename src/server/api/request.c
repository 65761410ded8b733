#include "server/api/request.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "server/api/metrics.h"
#include "server/api/own.h"

const char *verb_name(enum verb verb)
{
    static const char *const names[VERBS] = {
        [VERB_NONE] = "",       [VERB_GET] = "get",       [VERB_LIST] = "list",
        [VERB_WATCH] = "watch", [VERB_CREATE] = "create", [VERB_UPDATE] = "update",
        [VERB_PATCH] = "patch", [VERB_DELETE] = "delete", [VERB_DELETECOLLECTION] = "deletecollection",
    };
    return names[verb];
}

void request_count(struct request *r, unsigned code)
{
    metrics_count(r->api->metrics, r->resource, r->verb, code, clock_monotonic_us() - r->started_us);
}

static void begin_reply(struct request *r, unsigned code)
{
    request_count(r, code);
    http_add_header(r->x, "Cache-Control", "no-cache, private");
}

void request_reply(struct request *r, unsigned code, const char *content_type, struct str body)
{
    begin_reply(r, code);
    http_reply(r->x, code, content_type, body);
}

void request_reply_json(struct request *r, unsigned code, char *json, size_t n)
{
    begin_reply(r, code);
    http_reply_shared(r->x, code, "application/json", (struct str){json, n}, json, free);
}

static void release_object(void *o)
{
    object_unref(o);
}

void request_reply_object(struct request *r, unsigned code, struct object *o)
{
    begin_reply(r, code);
    http_reply_shared(r->x, code, "application/json", o->json, o, release_object);
}

void request_fail(struct request *r, struct error *err)
{
    request_count(r, reason_code(err->reason));
    api_reply_object_error(r->x, request_kind(r), r->name, err);
}

size_t request_object_max(const struct request *r)
{
    const struct kind *k = r->resource->kind;

    return r->verdict == VERDICT_OWN ? k->owner_max_bytes : k->max_bytes;
}

bool request_is_reserved(const struct request *r)
{
    return r->api->options.reserved && r->api->options.reserved(&r->who);
}

bool request_flag(struct request *r, const char *name)
{
    const char *value = http_query(r->x, name);

    return value && !streq(value, "false") && !streq(value, "0");
}

int request_dry_run(struct request *r, bool *out, struct error **err)
{
    const char *key, *value;

    *out = false;
    for (size_t at = 0; http_next_query(r->x, &at, &key, &value);) {
        if (!streq(key, "dryRun"))
            continue;
        if (!streq(value, "All"))
            return error_set(err, REASON_BAD_REQUEST, "dryRun: Unsupported value: \"%s\": supported values: \"All\"",
                             value);
        *out = true;
    }
    return 0;
}

bool owned_by_val(const struct kind *kind, yyjson_val *object, const struct identity *who)
{
    return kind->owner && streq(json_str_at(object, kind->owner), who->name);
}

bool owned_by(const struct kind *kind, struct str json, const struct identity *who)
{
    /* An object that nowhere holds the name need not be parsed. A user's name is a DNS label: it has one spelling in
     * JSON (a client's escapes are gone once yyjson has written the object). */
    if (!kind->owner || !who->name || !memmem(json.p, json.n, who->name, strlen(who->name)))
        return false;
    _cleanup_json_ yyjson_doc *doc = json_parse(json, NULL);
    return owned_by_val(kind, yyjson_doc_get_root(doc), who);
}

int(error_not_found)(struct error **err, const struct kind *kind, const char *name)
{
    return error_set(err, REASON_NOT_FOUND, "%s.%s \"%s\" not found", kind->plural, kind->group, name);
}

int(error_forbidden)(struct error **err, const struct request *r)
{
    const struct kind *kind = request_kind(r);
    const char *verb = verb_name(r->verb);

    if (r->who.role == 0)
        return error_set(err, REASON_UNAUTHORIZED, "Unauthorized");
    if (kind == NULL)
        return error_set(err, REASON_FORBIDDEN, "forbidden: User \"%s\" cannot get path \"%s\"", r->who.name, r->name);
    return error_set(err, REASON_FORBIDDEN,
                     "%s.%s %s%s%sis forbidden: User \"%s\" cannot %s resource \"%s%s%s\" in API group \"%s\" at the "
                     "cluster scope",
                     kind->plural, kind->group, r->name ? "\"" : "", r->name ? r->name : "", r->name ? "\" " : "",
                     r->who.name, verb, kind->plural, r->subresource ? "/" : "", r->subresource ? r->subresource : "",
                     kind->group);
}

int(error_absent)(struct error **err, const struct request *r)
{
    if (!own_is_own_name(r, r->name))
        return error_forbidden(err, r);
    if (r->verdict == VERDICT_ALLOW && r->name) {
        _cleanup_free_ char *why = store_damaged(r->api->options.store, r->resource->kind->plural, str_from(r->name));
        if (why)
            return error_set(
                err, REASON_INTERNAL,
                "%s.%s \"%s\" is damaged and was set aside at the start (%s): delete it, or put a backup of "
                "the database in its place",
                r->resource->kind->plural, r->resource->kind->group, r->name, why);
    }
    return error_not_found(err, r->resource->kind, r->name);
}
