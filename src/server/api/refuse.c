#include "server/api/refuse.h"

#include "base/alloc.h"
#include "server/api/own.h"

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
    return error_set(err, REASON_NOT_FOUND, "%s \"%s\" not found", kind->full_name, name);
}

int(error_forbidden)(struct error **err, const struct request *r)
{
    const struct kind *kind = request_kind(r);
    const char *verb = verb_name(r->op->verb);

    if (r->op->who.role == 0)
        return error_set(err, REASON_UNAUTHORIZED, "Unauthorized");
    if (kind == NULL)
        return error_set(err, REASON_FORBIDDEN, "forbidden: User \"%s\" cannot get path \"%s\"", r->op->who.name,
                         r->op->path);
    return error_set(err, REASON_FORBIDDEN,
                     "%s %s%s%sis forbidden: User \"%s\" cannot %s resource \"%s%s%s\" in API group \"%s\" at the "
                     "cluster scope",
                     kind->full_name, r->name ? "\"" : "", r->name ? r->name : "", r->name ? "\" " : "",
                     r->op->who.name, verb, kind->plural, r->op->subresource ? "/" : "",
                     r->op->subresource ? r->op->subresource : "", kind->group);
}

int(error_absent)(struct error **err, const struct request *r)
{
    if (!own_is_own_name(r, r->name))
        return error_forbidden(err, r);
    if (r->verdict == VERDICT_ALLOW && r->name) {
        _cleanup_free_ char *why = store_damaged(r->api->options.store, r->op->kind->plural, str_from(r->name));
        if (why)
            return error_set(err, REASON_INTERNAL,
                             "%s \"%s\" is damaged and was set aside at the start (%s): delete it, or put a backup of "
                             "the database in its place",
                             r->op->kind->full_name, r->name, why);
    }
    return error_not_found(err, r->op->kind, r->name);
}
