#include "server/documents/openapi_paths.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "server/model/patch.h"

/* --- Names --- */

char *openapi_schema_name(const struct kind *k, const char *kind)
{
    char *name = xasprintf("%s.%s", k->version, kind);
    struct str rest = str_from(*k->group ? k->group : "core"), label;

    while (str_split(&rest, '.', &label)) {
        char *longer = xasprintf("%.*s.%s", (int)label.n, label.p, name);
        free(name);
        name = longer;
    }
    return name;
}

yyjson_mut_val *openapi_reference(yyjson_mut_doc *doc, const char *name)
{
    _cleanup_free_ char *text = xasprintf("#/components/schemas/%s", name);
    yyjson_mut_val *v = yyjson_mut_obj(doc);

    json_mut_set_str(doc, v, "$ref", text);
    return v;
}

static yyjson_mut_val *openapi_kind(yyjson_mut_doc *doc, const struct kind *k, const char *kind)
{
    yyjson_mut_val *v = yyjson_mut_obj(doc);

    json_mut_set_str(doc, v, "group", k->group);
    json_mut_set_str(doc, v, "kind", kind);
    json_mut_set_str(doc, v, "version", k->version);
    return v;
}

yyjson_mut_val *openapi_kinds(yyjson_mut_doc *doc, const struct kind *k, const char *kind)
{
    yyjson_mut_val *list = yyjson_mut_arr(doc);

    yyjson_mut_arr_append(list, openapi_kind(doc, k, kind));
    return list;
}

/* --- Parameters --- */

struct parameter {
    const char *name, *type, *description;
};

static const struct parameter write_parameters[] = {
    {"dryRun", "string", "All: everything is checked, nothing is stored."},
    {"fieldManager", "string", "The name of the program that makes the change."},
    {"fieldValidation", "string",
     "What happens with unknown and duplicate fields: Ignore drops them, Warn (the default) says so, Strict refuses "
     "the object."},
    {NULL, NULL, NULL}};

static const struct parameter delete_parameters[] = {
    {"dryRun", "string", "All: everything is checked, nothing is stored."},
    {"gracePeriodSeconds", "integer", "Accepted, without an effect."},
    {"propagationPolicy", "string", "Accepted, without an effect."},
    {NULL, NULL, NULL}};

static const struct parameter delete_all_parameters[] = {
    {"dryRun", "string", "All: everything is checked, nothing is stored."},
    {"fieldSelector", "string", "Only objects with these fields: metadata.name."},
    {"gracePeriodSeconds", "integer", "Accepted, without an effect."},
    {"labelSelector", "string", "Only objects with these labels."},
    {"propagationPolicy", "string", "Accepted, without an effect."},
    {NULL, NULL, NULL}};

static const struct parameter list_parameters[] = {
    {"allowWatchBookmarks", "boolean", "Events of type BOOKMARK tell a watch how far it is."},
    {"continue", "string", "The next page of a list, from metadata.continue of the one before."},
    {"fieldSelector", "string", "Only objects with these fields: metadata.name."},
    {"labelSelector", "string", "Only objects with these labels."},
    {"limit", "integer", "At most that many objects in a page."},
    {"resourceVersion", "string", "From which state on a watch begins; how old a list may be."},
    {"resourceVersionMatch", "string", "How resourceVersion is to be read in a list."},
    {"sendInitialEvents", "boolean", "A watch begins with an event for every object there is."},
    {"timeoutSeconds", "integer", "Ends a watch after that time; no later than after an hour."},
    {"watch", "boolean", "Sends changes as they come instead of a list."},
    {NULL, NULL, NULL}};

static const struct parameter read_parameters[] = {{NULL, NULL, NULL}};

static yyjson_mut_val *make_parameter(yyjson_mut_doc *doc, const struct parameter *p, const char *in)
{
    yyjson_mut_val *v = yyjson_mut_obj(doc);

    json_mut_set_str(doc, v, "name", p->name);
    json_mut_set_str(doc, v, "in", in);
    json_mut_set_str(doc, v, "description", p->description);
    if (streq(in, "path"))
        json_mut_set_bool(doc, v, "required", true);
    json_mut_set_str(doc, json_mut_make_obj(doc, v, "schema"), "type", p->type);
    return v;
}

/* --- Operations --- */

struct path_operation {
    const char *method, *action; /* "post", and x-kubernetes-action */
    const char *id;              /* beginning of operationId */
    const char *body;            /* schema's name, NULL: none */
    bool is_patch;
    const char *reply; /* schema's name, NULL: not described */
    unsigned status;
    const struct parameter *parameters;
};

static void set_media_type(yyjson_mut_doc *doc, yyjson_mut_val *owner, const char *schema, const char *type)
{
    yyjson_mut_val *content = json_mut_make_obj(doc, owner, "content"), *media = yyjson_mut_obj(doc);

    json_mut_set(doc, media, "schema", openapi_reference(doc, schema));
    json_mut_set(doc, content, type, media);
}

/* What is sent to an operation. */
static void set_body(yyjson_mut_doc *doc, yyjson_mut_val *op, const struct kind *k, const char *schema, bool is_patch)
{
    yyjson_mut_val *body = json_mut_make_obj(doc, op, "requestBody");

    if (!is_patch) {
        set_media_type(doc, body, schema, "application/json");
        set_media_type(doc, body, schema, "application/yaml");
        return;
    }
    for (const struct patch_type *const *t = patch_types; *t; t++)
        if (patch_type_fits(*t, k))
            set_media_type(doc, body, schema, (*t)->media_type);
}

static void set_replies(yyjson_mut_doc *doc, yyjson_mut_val *op, const struct path_operation *o)
{
    yyjson_mut_val *replies = json_mut_make_obj(doc, op, "responses"), *ok = yyjson_mut_obj(doc),
                   *other = yyjson_mut_obj(doc);
    char status[8];

    snprintf(status, sizeof(status), "%u", o->status);
    json_mut_set_str(doc, ok, "description", o->status == 201 ? "Created" : "OK");
    if (o->reply)
        set_media_type(doc, ok, o->reply, "application/json");
    json_mut_set(doc, replies, status, ok);
    json_mut_set_str(doc, other, "description", "Why not");
    set_media_type(doc, other, META_SCHEMA_PREFIX "Status", "application/json");
    json_mut_set(doc, replies, "default", other);
}

static void add_operation(yyjson_mut_doc *doc, yyjson_mut_val *path, const struct kind *k, const char *kind,
                          const char *suffix, const struct path_operation *o)
{
    yyjson_mut_val *op = yyjson_mut_obj(doc), *parameters = yyjson_mut_arr(doc);
    _cleanup_free_ char *id = xasprintf("%s%s%s", o->id, k->kind, suffix);

    json_mut_set_str(doc, op, "operationId", id);
    json_mut_set_str(doc, op, "x-kubernetes-action", o->action);
    json_mut_set(doc, op, "x-kubernetes-group-version-kind", openapi_kind(doc, k, kind));
    for (const struct parameter *p = o->parameters; p->name; p++)
        yyjson_mut_arr_append(parameters, make_parameter(doc, p, "query"));
    json_mut_set(doc, op, "parameters", parameters);
    if (o->body)
        set_body(doc, op, k, o->body, o->is_patch);
    set_replies(doc, op, o);
    json_mut_set(doc, path, o->method, op);
}

/* --- Paths --- */

static yyjson_mut_val *add_path(yyjson_mut_doc *doc, yyjson_mut_val *paths, const struct kind *k, const char *rest,
                                bool named)
{
    static const struct parameter name = {"name", "string", "The object's name."},
                                  namespace = {"namespace", "string", "The namespace of the objects."};
    _cleanup_free_ char *text =
        xasprintf("%s%s/%s%s", k->path, k->namespace ? "/namespaces/{namespace}" : "", k->plural, rest);
    yyjson_mut_val *path = yyjson_mut_obj(doc), *parameters = yyjson_mut_arr(doc);

    if (named)
        yyjson_mut_arr_append(parameters, make_parameter(doc, &name, "path"));
    if (k->namespace)
        yyjson_mut_arr_append(parameters, make_parameter(doc, &namespace, "path"));
    if (yyjson_mut_arr_size(parameters))
        json_mut_set(doc, path, "parameters", parameters);
    json_mut_set(doc, paths, text, path);
    return path;
}

static void add_all(yyjson_mut_doc *doc, yyjson_mut_val *path, const struct kind *k, const char *suffix,
                    const struct path_operation *operations, size_t n)
{
    for (size_t i = 0; i < n; i++)
        add_operation(doc, path, k, k->kind, suffix, &operations[i]);
}

static void add_collection(yyjson_mut_doc *doc, yyjson_mut_val *paths, const struct kind *k, const char *schema)
{
    _cleanup_free_ char *list = openapi_schema_name(k, k->list_kind);
    const char *options = META_SCHEMA_PREFIX "DeleteOptions";
    const struct path_operation operations[] = {
        {"get", "list", "list", NULL, false, list, 200, list_parameters},
        {"post", "post", "create", schema, false, schema, 201, write_parameters},
        {"delete", "deletecollection", "deleteCollection", options, false, list, 200, delete_all_parameters},
    };
    add_all(doc, add_path(doc, paths, k, "", false), k, "", operations, ARRAY_SIZE(operations));
}

static void add_object(yyjson_mut_doc *doc, yyjson_mut_val *paths, const struct kind *k, const char *schema)
{
    const char *options = META_SCHEMA_PREFIX "DeleteOptions", *status = META_SCHEMA_PREFIX "Status",
               *patch = META_SCHEMA_PREFIX "Patch";
    const struct path_operation operations[] = {
        {"get", "get", "read", NULL, false, schema, 200, read_parameters},
        {"put", "put", "replace", schema, false, schema, 200, write_parameters},
        {"patch", "patch", "patch", patch, true, schema, 200, write_parameters},
        {"delete", "delete", "delete", options, false, status, 200, delete_parameters},
    };
    add_all(doc, add_path(doc, paths, k, "/{name}", true), k, "", operations, ARRAY_SIZE(operations));
    if (k->has_status)
        add_all(doc, add_path(doc, paths, k, "/{name}/status", true), k, "Status", operations, 3);
}

static void add_subresource(yyjson_mut_doc *doc, yyjson_mut_val *paths, const struct kind *k,
                            const struct kind_subresource *s)
{
    static const struct {
        const char *verb;
        struct path_operation operation;
    } known[] = {{"get", {"get", "get", "read", NULL, false, NULL, 200, read_parameters}},
                 {"create", {"post", "post", "create", NULL, false, NULL, 201, read_parameters}},
                 {"update", {"put", "put", "replace", NULL, false, NULL, 200, read_parameters}}};
    _cleanup_free_ char *rest = xasprintf("/{name}/%s", s->name), *suffix = xasprintf("_%s", s->name);
    yyjson_mut_val *path = add_path(doc, paths, k, rest, true);

    for (const char *const *verb = s->verbs; *verb; verb++)
        for (size_t i = 0; i < ARRAY_SIZE(known); i++)
            if (streq(*verb, known[i].verb))
                add_operation(doc, path, k, s->kind ? s->kind : k->kind, suffix, &known[i].operation);
}

void openapi_add_paths(yyjson_mut_doc *doc, yyjson_mut_val *paths, const struct kind *k)
{
    _cleanup_free_ char *schema = openapi_schema_name(k, k->kind);

    add_collection(doc, paths, k, schema);
    add_object(doc, paths, k, schema);
    for (size_t i = 0; i < k->subresources_len; i++)
        if (!k->subresources[i].private)
            add_subresource(doc, paths, k, &k->subresources[i]);
}
