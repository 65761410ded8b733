#include "server/shipped.h"

#include "base/yaml.h"

#define SHIPPED "shipped"

struct shipping {
    struct api *api;
    const struct kind *kind;
    yyjson_val *object;
    const char *name;
};

static int create_shipped(struct store_txn *t, void *arg, struct error **err)
{
    const struct shipping *s = arg;
    const struct identity who = {.name = "system:server", .role = 1};

    txn_essential(t); /* a first start on a nearly full disk */
    if (txn_secret(t, SHIPPED, str_from(s->name)).p)
        return 0;
    txn_secret_put(t, SHIPPED, str_from(s->name), STR("1"));
    if (txn_get(t, s->kind->plural, str_from(json_str_at(s->object, "metadata.name"))))
        return 0;
    return api_create_in_txn(s->api, t, s->kind, s->object, &who, err);
}

static const struct kind *find_shipped_kind(const struct kind *const *kinds, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (streq(kinds[i]->kind, name))
            return kinds[i];
    return NULL;
}

int shipped_create(struct api *api, struct store *store, const struct kind *const *kinds, size_t kinds_len,
                   struct error **err)
{
    for (size_t i = 0; i < shipped_sources_len; i++) {
        const struct shipped_source *source = &shipped_sources[i];
        _cleanup_json_ yyjson_doc *doc = yaml_parse(source->yaml, NULL, err);
        if (doc == NULL)
            return error_wrap(err, "%s", source->name);
        yyjson_val *object = yyjson_doc_get_root(doc);
        struct shipping s = {api, find_shipped_kind(kinds, kinds_len, json_str_at(object, "kind")), object,
                             source->name};
        if (s.kind == NULL)
            return error_set(err, REASON_INTERNAL, "%s: its kind is not served", source->name);
        if (store_run(store, create_shipped, &s, err) < 0)
            return error_wrap(err, "%s", source->name);
    }
    return 0;
}
