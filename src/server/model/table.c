#include "server/model/table.h"

#include <stdlib.h>

#include "base/clock.h"
#include "kinds/column_path.h"

#define CREATION_PATH ".metadata.creationTimestamp"

int table_include_parse(const char *text, enum table_include *out, struct error **err)
{
    *out = TABLE_INCLUDE_METADATA;
    if (text == NULL || *text == '\0' || streq(text, "Metadata"))
        return 0;
    *out = TABLE_INCLUDE_NONE;
    if (streq(text, "None"))
        return 0;
    *out = TABLE_INCLUDE_OBJECT;
    if (streq(text, "Object"))
        return 0;
    return error_set(err, REASON_BAD_REQUEST, "unrecognized includeObject value: %.100s", text);
}

static const char *version_of(const char *version)
{
    return version ? version : "v1";
}

/* --- Columns --- */

static void put_column(struct buffer *b, const struct kind_column *c)
{
    buffer_puts(b, "{\"name\":");
    buffer_json_string(b, str_from(c->name));
    buffer_puts(b, ",\"type\":");
    buffer_json_string(b, str_from(c->type));
    buffer_puts(b, ",\"format\":");
    buffer_json_string(b, str_from(c->format ? c->format : ""));
    buffer_puts(b, ",\"description\":");
    buffer_json_string(b, str_from(c->description ? c->description : ""));
    buffer_printf(b, ",\"priority\":%d}", c->priority);
}

static const struct kind_column age_column = {
    .name = "Age", .type = "date", .json_path = CREATION_PATH, .description = "How long ago the object was created."};

static bool shows_age(const struct kind *k)
{
    for (size_t i = 0; i < k->columns_len; i++)
        if (streq(k->columns[i].json_path, CREATION_PATH))
            return true;
    return false;
}

static void put_columns(struct buffer *b, const struct kind *k)
{
    static const struct kind_column name = {
        .name = "Name", .type = "string", .format = "name", .description = "The object's name, unique in its kind."};

    buffer_puts(b, ",\"columnDefinitions\":[");
    put_column(b, &name);
    for (size_t i = 0; i <= k->columns_len; i++) {
        if (i == k->columns_len && shows_age(k))
            break;
        buffer_puts(b, ",");
        put_column(b, i < k->columns_len ? &k->columns[i] : &age_column);
    }
    buffer_puts(b, "]");
}

/* --- Cells --- */

static void put_json(struct buffer *b, yyjson_val *v)
{
    size_t n;
    char *text = json_write(v, &n);

    buffer_append(b, text, n);
    free(text);
}

static void put_text(struct buffer *b, yyjson_val *v)
{
    size_t n;

    if (yyjson_is_str(v)) {
        buffer_json_string(b, (struct str){yyjson_get_str(v), yyjson_get_len(v)});
        return;
    }
    char *text = json_write(v, &n);
    buffer_json_string(b, (struct str){text, n});
    free(text);
}

static void put_age(struct buffer *b, yyjson_val *v, int64_t now_us)
{
    char text[AGE_SIZE];
    int64_t then;

    if (!yyjson_is_str(v) || timestamp_parse((struct str){yyjson_get_str(v), yyjson_get_len(v)}, &then) < 0) {
        buffer_puts(b, "\"<invalid>\"");
        return;
    }
    age_text(text, now_us - then);
    buffer_json_string(b, str_from(text));
}

static void put_cell(struct buffer *b, const struct kind_column *c, yyjson_val *object, int64_t now_us)
{
    yyjson_val *v = column_path_get(object, c->json_path);

    bool is_value = (streq(c->type, "integer") && yyjson_is_int(v)) || (streq(c->type, "number") && yyjson_is_num(v)) ||
                    (streq(c->type, "boolean") && yyjson_is_bool(v));

    if (v && !yyjson_is_null(v) && streq(c->type, "date"))
        put_age(b, v, now_us);
    else if (v && !yyjson_is_null(v) && streq(c->type, "string"))
        put_text(b, v);
    else if (is_value)
        put_json(b, v);
    else
        buffer_puts(b, "null");
}

static void put_row(const struct table *t, struct buffer *b, yyjson_val *object, struct str json)
{
    const char *name = json_str_at(object, "metadata.name");

    buffer_puts(b, "{\"cells\":[");
    buffer_json_string(b, str_from(name ? name : ""));
    for (size_t i = 0; i < t->kind->columns_len; i++) {
        buffer_puts(b, ",");
        put_cell(b, &t->kind->columns[i], object, t->now_us);
    }
    if (!shows_age(t->kind)) {
        buffer_puts(b, ",");
        put_cell(b, &age_column, object, t->now_us);
    }
    buffer_puts(b, "],\"object\":");
    if (t->include == TABLE_INCLUDE_OBJECT)
        buffer_add(b, json);
    else if (t->include == TABLE_INCLUDE_METADATA)
        partial_metadata_write(b, t->version, object);
    else
        buffer_puts(b, "null");
    buffer_puts(b, "}");
}

void partial_metadata_write(struct buffer *b, const char *version, yyjson_val *object)
{
    yyjson_val *metadata = yyjson_obj_get(object, "metadata");

    buffer_printf(
        b, "{\"kind\":\"PartialObjectMetadata\",\"apiVersion\":\"meta.k8s.io/%s\",\"metadata\":", version_of(version));
    if (metadata)
        put_json(b, metadata);
    else
        buffer_puts(b, "{}");
    buffer_puts(b, "}");
}

/* --- Tables --- */

static void put_head(const struct table *t, struct buffer *b)
{
    buffer_printf(b, "{\"kind\":\"Table\",\"apiVersion\":\"meta.k8s.io/%s\"", version_of(t->version));
}

void table_open(struct table *t, struct buffer *b)
{
    put_head(t, b);
    put_columns(b, t->kind);
    buffer_puts(b, ",\"rows\":[");
    t->rows = 0;
}

void table_row(struct table *t, struct buffer *b, yyjson_val *object, struct str json)
{
    if (t->rows++)
        buffer_puts(b, ",");
    put_row(t, b, object, json);
}

void table_close(struct table *t, struct buffer *b, uint64_t revision, const char *continue_token, int64_t remaining)
{
    buffer_printf(b, "],\"metadata\":{\"resourceVersion\":\"%llu\"", (unsigned long long)revision);
    if (continue_token) {
        buffer_puts(b, ",\"continue\":");
        buffer_json_string(b, str_from(continue_token));
    }
    if (remaining >= 0)
        buffer_printf(b, ",\"remainingItemCount\":%lld", (long long)remaining);
    buffer_puts(b, "}}");
}

void table_object(const struct table *t, struct buffer *b, yyjson_val *object, struct str json, bool headers)
{
    const char *revision = json_str_at(object, "metadata.resourceVersion");

    put_head(t, b);
    buffer_puts(b, ",\"metadata\":{\"resourceVersion\":");
    buffer_json_string(b, str_from(revision ? revision : ""));
    buffer_puts(b, "}");
    if (headers)
        put_columns(b, t->kind);
    else
        buffer_puts(b, ",\"columnDefinitions\":null");
    buffer_puts(b, ",\"rows\":[");
    put_row(t, b, object, json);
    buffer_puts(b, "]}");
}
