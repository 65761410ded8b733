#include "server/api/own.h"

#include <strings.h>

#include "base/text.h"
#include "server/model/metadata.h"
#include "server/model/same.h"

bool own_is_own_name(const struct request *r, const char *name)
{
    return r->verdict != VERDICT_OWN || streq(name, r->op->who.name);
}

static int check_name(const struct request *r, yyjson_mut_val *object, struct error **err)
{
    const char *generate = json_mut_str_at(object, "metadata.generateName"), *name = metadata_name(object);

    if (generate && *generate)
        return error_set(err, REASON_FORBIDDEN, "metadata.generateName: only an administrator may leave names to us");
    if (name == NULL || own_is_own_name(r, name)) /* none at all: validation says so */
        return 0;
    return error_set(err, REASON_FORBIDDEN, "metadata.name: must be \"%s\", the name of its owner", r->op->who.name);
}

static int check_unchanged(const char *path, yyjson_val *old, yyjson_mut_val *object, struct error **err)
{
    _cleanup_json_mut_ yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_val *before = json_at(old, path);
    yyjson_mut_val *now = json_mut_at(object, path);

    if (yyjson_arr_size(before) == 0 && yyjson_mut_arr_size(now) == 0)
        return 0;
    if (before && now && value_same(now, yyjson_val_mut_copy(doc, before)))
        return 0;
    return error_set(err, REASON_FORBIDDEN, "%s: only an administrator may set or remove them", path);
}

static bool is_in_domain(struct str prefix, const char *domain)
{
    size_t n = strlen(domain);

    return prefix.n >= n && strncasecmp(prefix.p + prefix.n - n, domain, n) == 0 &&
           (prefix.n == n || prefix.p[prefix.n - n - 1] == '.');
}

/* Kubernetes' own prefixes, and the domain of our kinds: what programs act on is not for everybody to set. */
static bool is_reserved(const struct kind *k, struct str key)
{
    const char *slash = memchr(key.p, '/', key.n), *dot = strchr(k->group, '.');

    if (slash == NULL || str_is(key, LAST_APPLIED_ANNOTATION))
        return false;
    struct str prefix = {key.p, (size_t)(slash - key.p)};
    return is_in_domain(prefix, "kubernetes.io") || is_in_domain(prefix, "k8s.io") ||
           is_in_domain(prefix, dot ? dot + 1 : k->group);
}

struct pairs {
    const struct request *r;
    const char *path; /* metadata.labels */
    yyjson_val *old;
    yyjson_mut_val *now;
    size_t bytes;
};

static struct str text_of(yyjson_mut_val *v)
{
    return (struct str){yyjson_mut_get_str(v), yyjson_mut_get_len(v)};
}

static bool is_unchanged(const struct pairs *p, struct str key, struct str value)
{
    return yyjson_equals_strn(yyjson_obj_getn(p->old, key.p, key.n), value.p, value.n);
}

static int check_pair(const struct pairs *p, struct str key, struct str value, struct error **err)
{
    if (is_unchanged(p, key, value))
        return 0;
    if (is_reserved(p->r->op->kind, key))
        return error_set(err, REASON_FORBIDDEN, "%s: the prefix of \"%.*s\" is reserved", p->path,
                         (int)(key.n > 253 ? 253 : key.n), key.p);
    if (!text_is_plain(key, "") || !text_is_plain(value, "\n\t"))
        return error_set(err, REASON_FORBIDDEN, "%s: control characters are not allowed", p->path);
    return 0;
}

static int check_removed(const struct pairs *p, struct error **err)
{
    yyjson_obj_iter iter = yyjson_obj_iter_with(p->old);
    yyjson_val *k;

    while ((k = yyjson_obj_iter_next(&iter))) {
        struct str key = {yyjson_get_str(k), yyjson_get_len(k)};
        if (is_reserved(p->r->op->kind, key) && !yyjson_mut_obj_getn(p->now, key.p, key.n))
            return error_set(err, REASON_FORBIDDEN, "%s: \"%s\" is not yours to remove", p->path, key.p);
    }
    return 0;
}

static int check_pairs(struct pairs *p, struct error **err)
{
    yyjson_mut_obj_iter iter = yyjson_mut_obj_iter_with(p->now);
    yyjson_mut_val *k;

    if (yyjson_mut_obj_size(p->now) > OWN_PAIRS_MAX)
        return error_set(err, REASON_FORBIDDEN, "%s: at most %d without an administrator", p->path, OWN_PAIRS_MAX);
    while ((k = yyjson_mut_obj_iter_next(&iter))) {
        struct str key = text_of(k), value = text_of(yyjson_mut_obj_iter_get_val(k));
        p->bytes += key.n + value.n;
        if (check_pair(p, key, value, err) < 0)
            return -1;
    }
    return check_removed(p, err);
}

static int check_labels_and_annotations(const struct request *r, yyjson_val *old, yyjson_mut_val *object,
                                        struct error **err)
{
    static const char *const paths[] = {"metadata.labels", "metadata.annotations"};
    size_t bytes = 0;

    for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
        struct pairs p = {r, paths[i], json_at(old, paths[i]), json_mut_at(object, paths[i]), bytes};
        if (check_pairs(&p, err) < 0)
            return -1;
        bytes = p.bytes;
    }
    if (bytes <= OWN_PAIRS_BYTES)
        return 0;
    return error_set(err, REASON_FORBIDDEN,
                     "metadata: labels and annotations have %zu bytes; at most %zu without an administrator", bytes,
                     OWN_PAIRS_BYTES);
}

int own_check(const struct request *r, yyjson_val *old, yyjson_mut_val *object, struct error **err)
{
    if (r == NULL || r->verdict != VERDICT_OWN)
        return 0;
    if ((old == NULL && check_name(r, object, err) < 0) ||
        check_unchanged("metadata.finalizers", old, object, err) < 0 ||
        check_unchanged("metadata.ownerReferences", old, object, err) < 0)
        return -1;
    return check_labels_and_annotations(r, old, object, err);
}
