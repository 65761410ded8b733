#include "server/documents/openapi_v2.h"

#include <string.h>

#include "base/alloc.h"

#define V3_PREFIX "#/components/schemas/"
#define V2_PREFIX "#/definitions/"

/* Numbers of fields in gnostic's openapiv2/OpenAPIv2.proto. */
enum { DOCUMENT_SWAGGER = 1, DOCUMENT_INFO, DOCUMENT_PATHS = 8, DOCUMENT_DEFINITIONS };
enum { INFO_TITLE = 1, INFO_VERSION };
enum { PATHS_PATH = 2, PATH_ITEM_PATCH = 8 };
enum { NAMED_NAME = 1, NAMED_VALUE };
enum { ANY_YAML = 2 };
enum { OPERATION_ID = 5, OPERATION_PARAMETERS = 8, OPERATION_EXTENSION = 13 };
enum { PARAMETERS_ITEM_PARAMETER = 1, PARAMETER_NON_BODY = 2, NON_BODY_QUERY = 3 };
enum { QUERY_IN = 2, QUERY_DESCRIPTION, QUERY_NAME, QUERY_TYPE = 6 };
enum {
    SCHEMA_REF = 1,
    SCHEMA_FORMAT,
    SCHEMA_DESCRIPTION = 4,
    SCHEMA_REQUIRED = 19,
    SCHEMA_ADDITIONAL = 21,
    SCHEMA_TYPE,
    SCHEMA_ITEMS,
    SCHEMA_PROPERTIES = 25,
    SCHEMA_EXTENSION = 31
};
enum { ONLY = 1 }; /* of messages that hold one thing */

/* --- Protobuf --- */

static void put_varint(struct buffer *b, uint64_t n)
{
    for (; n >= 0x80; n >>= 7)
        buffer_append(b, &(unsigned char){n | 0x80}, 1);
    buffer_append(b, &(unsigned char){n}, 1);
}

static void put_bytes(struct buffer *b, unsigned field, struct str bytes)
{
    put_varint(b, field << 3 | 2);
    put_varint(b, bytes.n);
    buffer_add(b, bytes);
}

static void put_text(struct buffer *b, unsigned field, const char *text)
{
    if (text)
        put_bytes(b, field, str_from(text));
}

/* A message's length stands before it, so it is written apart first. */
static struct buffer begin_message(const struct buffer *outer)
{
    return BUFFER_MAX(outer->max);
}

static void end_message(struct buffer *outer, unsigned field, struct buffer *inner)
{
    put_bytes(outer, field, buffer_str(inner));
    outer->overflow |= inner->overflow;
    buffer_free(inner);
}

static void put_named(struct buffer *b, unsigned field, const char *name, struct buffer *value)
{
    struct buffer named = begin_message(b);

    put_text(&named, NAMED_NAME, name);
    end_message(&named, NAMED_VALUE, value);
    end_message(b, field, &named);
}

/* An extension's value is YAML, which JSON is. */
static void put_extension(struct buffer *b, unsigned field, yyjson_mut_val *owner, const char *name)
{
    yyjson_mut_val *v = yyjson_mut_obj_get(owner, name);
    struct buffer any = begin_message(b);
    size_t n;

    if (!v)
        return;
    _cleanup_free_ char *text = json_mut_write(v, &n);
    put_text(&any, ANY_YAML, text);
    put_named(b, field, name, &any);
}

/* --- Schemas --- */

static void put_schema(struct buffer *b, yyjson_mut_val *v);

static const char *text_of(yyjson_mut_val *v, const char *key)
{
    return yyjson_mut_get_str(yyjson_mut_obj_get(v, key));
}

/* Version 2 knows no `nullable`, and its readers refuse what a schema does not name. */
static bool takes_anything(yyjson_mut_val *v)
{
    return yyjson_mut_get_bool(yyjson_mut_obj_get(v, "nullable")) ||
           yyjson_mut_get_bool(yyjson_mut_obj_get(v, "x-kubernetes-int-or-string")) ||
           yyjson_mut_get_bool(yyjson_mut_obj_get(v, "x-kubernetes-preserve-unknown-fields"));
}

static bool put_reference(struct buffer *b, yyjson_mut_val *v)
{
    const char *reference = text_of(v, "$ref");

    if (!reference) /* the one in which version 3 wraps a reference that has siblings */
        reference = text_of(yyjson_mut_arr_get_first(yyjson_mut_obj_get(v, "allOf")), "$ref");
    if (!reference || strncmp(reference, V3_PREFIX, strlen(V3_PREFIX)) != 0)
        return false;
    _cleanup_free_ char *text = xasprintf("%s%s", V2_PREFIX, reference + strlen(V3_PREFIX));
    put_text(b, SCHEMA_REF, text);
    return true;
}

static void put_schemas(struct buffer *b, unsigned field, yyjson_mut_val *named)
{
    yyjson_mut_obj_iter iter = yyjson_mut_obj_iter_with(named);
    struct buffer all = begin_message(b);
    yyjson_mut_val *key;

    while ((key = yyjson_mut_obj_iter_next(&iter))) {
        struct buffer schema = begin_message(b);
        put_schema(&schema, yyjson_mut_obj_iter_get_val(key));
        put_named(&all, ONLY, yyjson_mut_get_str(key), &schema);
    }
    end_message(b, field, &all);
}

static void put_one_schema(struct buffer *b, unsigned field, yyjson_mut_val *v)
{
    struct buffer holder = begin_message(b), schema = begin_message(b);

    if (!yyjson_mut_is_obj(v))
        return;
    put_schema(&schema, v);
    end_message(&holder, ONLY, &schema);
    end_message(b, field, &holder);
}

static void put_type(struct buffer *b, yyjson_mut_val *v)
{
    struct buffer type = begin_message(b);

    put_text(&type, ONLY, text_of(v, "type"));
    if (type.n > 0)
        end_message(b, SCHEMA_TYPE, &type);
    put_text(b, SCHEMA_FORMAT, text_of(v, "format"));
}

static void put_fields(struct buffer *b, yyjson_mut_val *v)
{
    yyjson_mut_val *properties = yyjson_mut_obj_get(v, "properties"), *required = yyjson_mut_obj_get(v, "required"),
                   *name;
    yyjson_mut_arr_iter iter = yyjson_mut_arr_iter_with(required);

    while ((name = yyjson_mut_arr_iter_next(&iter)))
        put_text(b, SCHEMA_REQUIRED, yyjson_mut_get_str(name));
    if (yyjson_mut_obj_size(properties) > 0)
        put_schemas(b, SCHEMA_PROPERTIES, properties);
    put_one_schema(b, SCHEMA_ITEMS, yyjson_mut_obj_get(v, "items"));
    put_one_schema(b, SCHEMA_ADDITIONAL, yyjson_mut_obj_get(v, "additionalProperties"));
}

static void put_schema(struct buffer *b, yyjson_mut_val *v)
{
    put_text(b, SCHEMA_DESCRIPTION, text_of(v, "description"));
    if (put_reference(b, v))
        return;
    if (!takes_anything(v)) {
        put_type(b, v);
        put_fields(b, v);
    }
    put_extension(b, SCHEMA_EXTENSION, v, "x-kubernetes-group-version-kind");
}

/* --- Paths --- */

static void put_query_parameter(struct buffer *b, yyjson_mut_val *p)
{
    struct buffer item = begin_message(b), parameter = begin_message(b), other = begin_message(b),
                  query = begin_message(b);

    put_text(&query, QUERY_IN, text_of(p, "in"));
    put_text(&query, QUERY_DESCRIPTION, text_of(p, "description"));
    put_text(&query, QUERY_NAME, text_of(p, "name"));
    put_text(&query, QUERY_TYPE, json_mut_str_at(p, "schema.type"));
    end_message(&other, NON_BODY_QUERY, &query);
    end_message(&parameter, PARAMETER_NON_BODY, &other);
    end_message(&item, PARAMETERS_ITEM_PARAMETER, &parameter);
    end_message(b, OPERATION_PARAMETERS, &item);
}

static void put_operation(struct buffer *b, yyjson_mut_val *operation)
{
    yyjson_mut_arr_iter iter = yyjson_mut_arr_iter_with(yyjson_mut_obj_get(operation, "parameters"));
    yyjson_mut_val *parameter;

    put_text(b, OPERATION_ID, text_of(operation, "operationId"));
    while ((parameter = yyjson_mut_arr_iter_next(&iter)))
        put_query_parameter(b, parameter);
    put_extension(b, OPERATION_EXTENSION, operation, "x-kubernetes-group-version-kind");
}

/* Of the operations only PATCH, whose parameters kubectl takes for those of all writes. */
static void put_paths(struct buffer *b, yyjson_mut_val *paths)
{
    yyjson_mut_obj_iter iter = yyjson_mut_obj_iter_with(paths);
    struct buffer all = begin_message(b);
    yyjson_mut_val *key;

    while ((key = yyjson_mut_obj_iter_next(&iter))) {
        yyjson_mut_val *patch = yyjson_mut_obj_get(yyjson_mut_obj_iter_get_val(key), "patch");
        if (!patch)
            continue;
        struct buffer item = begin_message(b), operation = begin_message(b);
        put_operation(&operation, patch);
        end_message(&item, PATH_ITEM_PATCH, &operation);
        put_named(&all, PATHS_PATH, yyjson_mut_get_str(key), &item);
    }
    end_message(b, DOCUMENT_PATHS, &all);
}

void openapi_v2_write(struct buffer *out, yyjson_mut_val *v3)
{
    struct buffer info = begin_message(out);

    put_text(out, DOCUMENT_SWAGGER, "2.0");
    put_text(&info, INFO_TITLE, json_mut_str_at(v3, "info.title"));
    put_text(&info, INFO_VERSION, json_mut_str_at(v3, "info.version"));
    end_message(out, DOCUMENT_INFO, &info);
    put_paths(out, yyjson_mut_obj_get(v3, "paths"));
    put_schemas(out, DOCUMENT_DEFINITIONS, json_mut_at(v3, "components.schemas"));
}
