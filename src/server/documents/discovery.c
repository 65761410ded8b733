#include "server/documents/discovery.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "server/documents/documents.h"

#define DOCUMENT_MAX ((size_t)4 << 20)

enum form { FORM_LEGACY, FORM_V2, FORM_V2BETA1, FORMS };

static const struct {
    const char *version, *content_type;
} forms[FORMS] = {
    [FORM_LEGACY] = {NULL, "application/json"},
    [FORM_V2] = {"v2", "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"},
    [FORM_V2BETA1] = {"v2beta1", "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList"},
};

struct discovery {
    struct documents *documents;
    const struct kind *const *kinds;
    size_t n;
};

static const char *const verbs[] = {"delete", "deletecollection", "get",   "list", "patch",
                                    "create", "update",           "watch", NULL};
static const char *const status_verbs[] = {"get", "patch", "update", NULL};

static void put_string(struct buffer *b, const char *key, const char *value)
{
    buffer_json_string(b, str_from(key));
    buffer_puts(b, ":");
    buffer_json_string(b, str_from(value ? value : ""));
}

static void put_verbs(struct buffer *b, const char *const *list)
{
    buffer_puts(b, "\"verbs\":[");
    for (size_t i = 0; list[i]; i++) {
        buffer_puts(b, i ? "," : "");
        buffer_json_string(b, str_from(list[i]));
    }
    buffer_puts(b, "]");
}

static void put_list(struct buffer *b, const char *key, const char **list)
{
    if (*list == NULL)
        return;
    buffer_printf(b, ",\"%s\":[", key);
    for (size_t i = 0; list[i]; i++) {
        buffer_puts(b, i ? "," : "");
        buffer_json_string(b, str_from(list[i]));
    }
    buffer_puts(b, "]");
}

/* What a client may know of: the status, then the kind's own. `at` begins with 0. NULL: no more. */
static const struct kind_subresource *next_subresource(const struct kind *k, size_t *at)
{
    static const struct kind_subresource status = {.name = "status", .verbs = status_verbs};
    size_t own = k->has_status ? 1 : 0;

    while (*at < own + k->subresources_len) {
        size_t i = (*at)++;
        const struct kind_subresource *s = i < own ? &status : &k->subresources[i - own];
        if (!s->private)
            return s;
    }
    return NULL;
}

/* The groups, and the versions of one, each once: whether resource i is the first of its own. */
static bool is_first_of_group(const struct discovery *d, size_t i)
{
    for (size_t j = 0; j < i; j++)
        if (streq(d->kinds[j]->group, d->kinds[i]->group))
            return false;
    return true;
}

/* It has no name, and paths of its own. */
static bool is_core(const struct kind *k)
{
    return *k->group == '\0';
}

static bool is_first_of_version(const struct discovery *d, size_t i)
{
    for (size_t j = 0; j < i; j++)
        if (streq(d->kinds[j]->api_version, d->kinds[i]->api_version))
            return false;
    return true;
}

/* --- Legacy documents --- */

static void put_legacy_subresource(struct buffer *b, const struct kind *k, const struct kind_subresource *s)
{
    _cleanup_free_ char *path = xasprintf("%s/%s", k->plural, s->name);

    buffer_puts(b, ",{");
    put_string(b, "name", path);
    buffer_printf(b, ",\"singularName\":\"\",\"namespaced\":%s,", k->namespace ? "true" : "false");
    put_string(b, "kind", s->kind ? s->kind : k->kind);
    buffer_puts(b, ",");
    put_verbs(b, s->verbs);
    buffer_puts(b, "}");
}

static void put_legacy_resource(struct buffer *b, const struct kind *k)
{
    const struct kind_subresource *s;
    size_t at = 0;

    buffer_puts(b, "{");
    put_string(b, "name", k->plural);
    buffer_puts(b, ",");
    put_string(b, "singularName", k->singular);
    buffer_printf(b, ",\"namespaced\":%s,", k->namespace ? "true" : "false");
    put_string(b, "kind", k->kind);
    buffer_puts(b, ",");
    put_verbs(b, verbs);
    put_list(b, "shortNames", k->short_names);
    put_list(b, "categories", k->categories);
    buffer_puts(b, "}");
    while ((s = next_subresource(k, &at)))
        put_legacy_subresource(b, k, s);
}

static void add_resource_list(struct discovery *d, const struct kind *k)
{
    struct buffer b = BUFFER_MAX(DOCUMENT_MAX);
    const char *separator = "";

    buffer_puts(&b, "{\"kind\":\"APIResourceList\",\"apiVersion\":\"v1\",");
    put_string(&b, "groupVersion", k->api_version);
    buffer_puts(&b, ",\"resources\":[");
    for (size_t i = 0; i < d->n; i++) {
        if (!streq(d->kinds[i]->api_version, k->api_version))
            continue;
        buffer_puts(&b, separator);
        put_legacy_resource(&b, d->kinds[i]);
        separator = ",";
    }
    buffer_puts(&b, "]}");
    documents_add(d->documents, k->path, FORM_LEGACY, forms[FORM_LEGACY].content_type, &b);
}

static void put_version(struct buffer *b, const struct kind *k)
{
    buffer_puts(b, "{");
    put_string(b, "groupVersion", k->api_version);
    buffer_puts(b, ",");
    put_string(b, "version", k->version);
    buffer_puts(b, "}");
}

/* The members of an APIGroup; the first resource's version is the preferred one. */
static void put_group(const struct discovery *d, struct buffer *b, size_t first)
{
    const struct kind *k = d->kinds[first];
    const char *separator = "";

    put_string(b, "name", k->group);
    buffer_puts(b, ",\"versions\":[");
    for (size_t i = first; i < d->n; i++) {
        if (!streq(d->kinds[i]->group, k->group) || !is_first_of_version(d, i))
            continue;
        buffer_puts(b, separator);
        put_version(b, d->kinds[i]);
        separator = ",";
    }
    buffer_puts(b, "],\"preferredVersion\":");
    put_version(b, k);
}

static void add_group(struct discovery *d, size_t first)
{
    struct buffer b = BUFFER_MAX(DOCUMENT_MAX);
    _cleanup_free_ char *path = xasprintf("/apis/%s", d->kinds[first]->group);

    buffer_puts(&b, "{\"kind\":\"APIGroup\",\"apiVersion\":\"v1\",");
    put_group(d, &b, first);
    buffer_puts(&b, "}");
    documents_add(d->documents, path, FORM_LEGACY, forms[FORM_LEGACY].content_type, &b);
}

static void add_group_list(struct discovery *d)
{
    struct buffer b = BUFFER_MAX(DOCUMENT_MAX);
    const char *separator = "";

    buffer_puts(&b, "{\"kind\":\"APIGroupList\",\"apiVersion\":\"v1\",\"groups\":[");
    for (size_t i = 0; i < d->n; i++) {
        if (!is_first_of_group(d, i) || is_core(d->kinds[i]))
            continue;
        buffer_printf(&b, "%s{", separator);
        put_group(d, &b, i);
        buffer_puts(&b, "}");
        separator = ",";
    }
    buffer_puts(&b, "]}");
    documents_add(d->documents, "/apis", FORM_LEGACY, forms[FORM_LEGACY].content_type, &b);
}

static void add_core(struct discovery *d)
{
    struct buffer b = BUFFER_MAX(DOCUMENT_MAX);
    const char *separator = "";

    buffer_puts(&b, "{\"kind\":\"APIVersions\",\"versions\":[");
    for (size_t i = 0; i < d->n; i++) {
        if (!is_core(d->kinds[i]) || !is_first_of_version(d, i))
            continue;
        buffer_puts(&b, separator);
        buffer_json_string(&b, str_from(d->kinds[i]->version));
        separator = ",";
    }
    buffer_puts(&b, "],\"serverAddressByClientCIDRs\":[]}");
    documents_add(d->documents, "/api", FORM_LEGACY, forms[FORM_LEGACY].content_type, &b);
}

/* --- Aggregated documents --- */

static void put_response_kind(struct buffer *b, const struct kind *k, const char *kind)
{
    buffer_puts(b, "\"responseKind\":{");
    put_string(b, "group", k->group);
    buffer_puts(b, ",");
    put_string(b, "version", k->version);
    buffer_puts(b, ",");
    put_string(b, "kind", kind);
    buffer_puts(b, "}");
}

static void put_subresource(struct buffer *b, const struct kind *k, const struct kind_subresource *s)
{
    buffer_puts(b, "{");
    put_string(b, "subresource", s->name);
    buffer_puts(b, ",");
    put_response_kind(b, k, s->kind ? s->kind : k->kind);
    buffer_puts(b, ",");
    put_verbs(b, s->verbs);
    buffer_puts(b, "}");
}

static void put_subresources(struct buffer *b, const struct kind *k)
{
    const struct kind_subresource *s;
    const char *separator = "";

    for (size_t at = 0; (s = next_subresource(k, &at)); separator = ",") {
        buffer_puts(b, separator);
        put_subresource(b, k, s);
    }
}

static void put_resource(struct buffer *b, const struct kind *k)
{
    buffer_puts(b, "{");
    put_string(b, "resource", k->plural);
    buffer_puts(b, ",");
    put_response_kind(b, k, k->kind);
    buffer_printf(b, ",\"scope\":\"%s\",", k->namespace ? "Namespaced" : "Cluster");
    put_string(b, "singularResource", k->singular);
    buffer_puts(b, ",");
    put_verbs(b, verbs);
    put_list(b, "shortNames", k->short_names);
    put_list(b, "categories", k->categories);
    buffer_puts(b, ",\"subresources\":[");
    put_subresources(b, k);
    buffer_puts(b, "]}");
}

static void put_aggregated_version(const struct discovery *d, struct buffer *b, const struct kind *k)
{
    const char *separator = "";

    buffer_puts(b, "{");
    put_string(b, "version", k->version);
    buffer_puts(b, ",\"resources\":[");
    for (size_t i = 0; i < d->n; i++) {
        if (!streq(d->kinds[i]->api_version, k->api_version))
            continue;
        buffer_puts(b, separator);
        put_resource(b, d->kinds[i]);
        separator = ",";
    }
    buffer_puts(b, "],\"freshness\":\"Current\"}");
}

static void put_aggregated_group(const struct discovery *d, struct buffer *b, size_t first)
{
    const char *group = d->kinds[first]->group, *separator = "";

    buffer_puts(b, "{\"metadata\":{");
    put_string(b, "name", group);
    buffer_puts(b, ",\"creationTimestamp\":null},\"versions\":[");
    for (size_t i = first; i < d->n; i++) {
        if (!streq(d->kinds[i]->group, group) || !is_first_of_version(d, i))
            continue;
        buffer_puts(b, separator);
        put_aggregated_version(d, b, d->kinds[i]);
        separator = ",";
    }
    buffer_puts(b, "]}");
}

static void add_aggregated(struct discovery *d, const char *path, bool core, enum form form)
{
    struct buffer b = BUFFER_MAX(DOCUMENT_MAX);
    const char *separator = "";

    buffer_printf(
        &b, "{\"kind\":\"APIGroupDiscoveryList\",\"apiVersion\":\"apidiscovery.k8s.io/%s\",\"metadata\":{},\"items\":[",
        forms[form].version);
    for (size_t i = 0; i < d->n; i++) {
        if (!is_first_of_group(d, i) || is_core(d->kinds[i]) != core)
            continue;
        buffer_puts(&b, separator);
        put_aggregated_group(d, &b, i);
        separator = ",";
    }
    buffer_puts(&b, "]}");
    documents_add(d->documents, path, form, forms[form].content_type, &b);
}

struct discovery *discovery_new(const struct kind *const *kinds, size_t n)
{
    struct discovery *d = xcalloc(1, sizeof(*d));

    *d = (struct discovery){documents_new(), kinds, n};
    add_core(d);
    add_group_list(d);
    for (enum form form = FORM_V2; form < FORMS; form++) {
        add_aggregated(d, "/api", true, form);
        add_aggregated(d, "/apis", false, form);
    }
    for (size_t i = 0; i < n; i++) {
        if (is_first_of_group(d, i) && !is_core(kinds[i]))
            add_group(d, i);
        if (is_first_of_version(d, i))
            add_resource_list(d, kinds[i]);
    }
    return d;
}

void discovery_free(struct discovery *d)
{
    if (d == NULL)
        return;
    documents_free(d->documents);
    free(d);
}

/* --- Which form --- */

static enum form form_of(struct str media_range)
{
    struct str parameter, version = {"", 0};
    bool group = false, list = false;

    while (str_split(&media_range, ';', &parameter)) {
        parameter = str_trim(parameter);
        group |= str_is(parameter, "g=apidiscovery.k8s.io");
        list |= str_is(parameter, "as=APIGroupDiscoveryList");
        if (parameter.n > 2 && memcmp(parameter.p, "v=", 2) == 0)
            version = (struct str){parameter.p + 2, parameter.n - 2};
    }
    for (enum form form = FORM_V2; form < FORMS && group && list; form++)
        if (str_is(version, forms[form].version))
            return form;
    return FORM_LEGACY;
}

const struct document *discovery_find(const struct discovery *d, struct str path, const char *accept)
{
    struct str rest = str_from(accept), media_range;
    const struct document *found;

    while (str_split(&rest, ',', &media_range)) {
        enum form form = form_of(media_range);
        if (form != FORM_LEGACY && (found = documents_find(d->documents, path, form)))
            return found;
    }
    return documents_find(d->documents, path, FORM_LEGACY);
}
