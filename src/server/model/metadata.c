#include "server/model/metadata.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/random.h"
#include "server/model/meta_schema.h"
#include "server/model/same.h"
#include "server/model/schema_node_walk.h"

static yyjson_mut_val *metadata_of(yyjson_mut_val *object)
{
    return yyjson_mut_obj_get(object, "metadata");
}

/* --- Reading what was sent --- */

static int decode_type(yyjson_mut_doc *doc, yyjson_mut_val *object, const char *key, const char *expected,
                       const char *what, struct error **err)
{
    yyjson_mut_val *v = yyjson_mut_obj_get(object, key);

    if (v == NULL || yyjson_mut_is_null(v) || yyjson_mut_equals_str(v, "")) {
        json_mut_set_str(doc, object, key, expected);
        return 0;
    }
    if (!yyjson_mut_is_str(v))
        return error_set(err, REASON_BAD_REQUEST, "%s must be a string", key);
    if (!yyjson_mut_equals_str(v, expected))
        return error_set(err, REASON_BAD_REQUEST, "the %s in the data (%.253s) does not match the expected %s (%s)",
                         what, yyjson_mut_get_str(v), what, expected);
    return 0;
}

int metadata_decode(const struct kind *k, yyjson_mut_doc *doc, yyjson_mut_val *object, struct error **err)
{
    _cleanup_error_ struct error *why = NULL;

    if (!yyjson_mut_is_obj(object))
        return error_set(err, REASON_BAD_REQUEST, "the body must be an object of kind %s", k->kind);
    if (decode_type(doc, object, "apiVersion", k->api_version, "API version", err) < 0 ||
        decode_type(doc, object, "kind", k->kind, "kind", err) < 0)
        return -1;
    yyjson_mut_val *metadata = metadata_of(object);
    if (metadata == NULL || yyjson_mut_is_null(metadata))
        metadata = json_mut_make_obj(doc, object, "metadata");
    if (yyjson_mut_is_obj(metadata)) {
        json_mut_remove(metadata, "managedFields");
        json_mut_remove(metadata, "selfLink");
        if (k->namespace && !yyjson_mut_obj_get(metadata, "namespace"))
            json_mut_set_str(doc, metadata, "namespace", k->namespace);
        schema_fill_node(meta_object_node(), doc, metadata);
    }
    if (schema_check_node(meta_object_node(), "metadata", metadata, &why) < 0)
        return error_set(err, REASON_BAD_REQUEST, "%s in version \"%s\" cannot be handled as a %s: %s", k->kind,
                         k->version, k->kind, why->message);
    return 0;
}

const char *metadata_name(yyjson_mut_val *object)
{
    const char *name = yyjson_mut_get_str(yyjson_mut_obj_get(metadata_of(object), "name"));
    return name && *name ? name : NULL;
}

/* Without vowels, so that no words come out. */
void metadata_generate_name(yyjson_mut_doc *doc, yyjson_mut_val *object)
{
    static const char alphabet[] = "bcdfghjklmnpqrstvwxz2456789";
    const char *prefix = json_mut_str_at(object, "metadata.generateName");
    unsigned char random[5];
    char name[64];

    if (metadata_name(object) || prefix == NULL || *prefix == '\0')
        return;
    random_bytes(random, sizeof(random));
    int n = snprintf(name, sizeof(name) - sizeof(random), "%.58s", prefix);
    for (size_t i = 0; i < sizeof(random); i++)
        name[n++] = alphabet[random[i] % (sizeof(alphabet) - 1)];
    name[n] = '\0';
    json_mut_set_str(doc, metadata_of(object), "name", name);
}

int metadata_sent_revision(yyjson_mut_val *object, uint64_t *revision, struct error **err)
{
    yyjson_mut_val *v = json_mut_at(object, "metadata.resourceVersion");
    struct str text = str_from(yyjson_mut_get_str(v));
    unsigned long long value = 0;

    *revision = 0;
    if (text.n == 0)
        return 0;
    if (str_to_u64(text, UINT64_MAX, &value) < 0)
        return error_add_cause(err, "metadata.resourceVersion", "FieldValueInvalid",
                               "Invalid value: \"%.64s\": must be a resource version that the server gave", text.p);
    *revision = value;
    return 0;
}

/* --- Stamps --- */

void metadata_set_revision(yyjson_mut_doc *doc, yyjson_mut_val *object, uint64_t revision)
{
    char text[24];

    snprintf(text, sizeof(text), "%llu", (unsigned long long)revision);
    json_mut_set_str(doc, metadata_of(object), "resourceVersion", text);
}

static const char *const server_fields[] = {
    "uid",           "creationTimestamp",          "generation", "deletionTimestamp",
    "managedFields", "deletionGracePeriodSeconds", "selfLink",   "resourceVersion"};

static void drop_server_fields(yyjson_mut_val *metadata)
{
    for (size_t i = 0; i < ARRAY_SIZE(server_fields); i++)
        json_mut_remove(metadata, server_fields[i]);
}

void metadata_stamp_create(yyjson_mut_doc *doc, yyjson_mut_val *object, int64_t now_us)
{
    yyjson_mut_val *metadata = json_mut_make_obj(doc, object, "metadata");
    char uid[UUID_SIZE], now[TIMESTAMP_SIZE];

    drop_server_fields(metadata);
    random_uuid(uid);
    timestamp(now, now_us);
    json_mut_set_str(doc, metadata, "uid", uid);
    json_mut_set_str(doc, metadata, "creationTimestamp", now);
    json_mut_set_int(doc, metadata, "generation", 1);
}

static bool is_desired(struct str key)
{
    return !str_is(key, "metadata") && !str_is(key, "status") && !str_is(key, "apiVersion") && !str_is(key, "kind");
}

/* What is wanted, and nothing that the server writes: the part whose changes are counted. */
static yyjson_mut_val *desired_state(const struct kind *k, yyjson_mut_val *copy)
{
    yyjson_mut_obj_iter iter = yyjson_mut_obj_iter_with(copy);
    yyjson_mut_val *key;

    while ((key = yyjson_mut_obj_iter_next(&iter)))
        if (!is_desired((struct str){yyjson_mut_get_str(key), yyjson_mut_get_len(key)}))
            yyjson_mut_obj_iter_remove(&iter);
    for (const char **path = k->output_only; *path; path++) {
        const char *dot = strrchr(*path, '.');
        char above[256];
        snprintf(above, sizeof(above), "%.*s", dot ? (int)(dot - *path) : 0, *path);
        yyjson_mut_val *parent = dot ? json_mut_at(copy, above) : copy;
        if (yyjson_mut_is_obj(parent))
            json_mut_remove(parent, dot ? dot + 1 : *path);
    }
    return copy;
}

static bool is_desired_changed(const struct kind *k, yyjson_mut_doc *doc, yyjson_mut_val *object, yyjson_val *old)
{
    return !value_same(desired_state(k, yyjson_mut_val_mut_copy(doc, object)),
                       desired_state(k, yyjson_val_mut_copy(doc, old)));
}

void metadata_stamp_update(const struct kind *k, yyjson_mut_doc *doc, yyjson_mut_val *object, yyjson_val *old)
{
    static const char *const kept[] = {"name",
                                       "generateName",
                                       "uid",
                                       "generation",
                                       "creationTimestamp",
                                       "deletionTimestamp",
                                       "deletionGracePeriodSeconds"};
    yyjson_mut_val *metadata = json_mut_make_obj(doc, object, "metadata");
    yyjson_val *before = yyjson_obj_get(old, "metadata");

    drop_server_fields(metadata);
    for (size_t i = 0; i < ARRAY_SIZE(kept); i++) {
        yyjson_val *v = yyjson_obj_get(before, kept[i]);
        if (v)
            json_mut_set(doc, metadata, kept[i], yyjson_val_mut_copy(doc, v));
        else
            json_mut_remove(metadata, kept[i]);
    }
    if (is_desired_changed(k, doc, object, old))
        json_mut_set_int(doc, metadata, "generation", json_int_at(before, "generation", 0) + 1);
}

void metadata_stamp_status(yyjson_mut_doc *doc, yyjson_mut_val *object, yyjson_val *old)
{
    yyjson_mut_val *status = yyjson_mut_obj_get(object, "status");
    yyjson_obj_iter iter = yyjson_obj_iter_with(old);
    yyjson_val *k;

    yyjson_mut_obj_clear(object);
    while ((k = yyjson_obj_iter_next(&iter)))
        if (!yyjson_equals_str(k, "status"))
            yyjson_mut_obj_add(object, yyjson_val_mut_copy(doc, k),
                               yyjson_val_mut_copy(doc, yyjson_obj_iter_get_val(k)));
    if (status && !yyjson_mut_is_null(status))
        json_mut_set(doc, object, "status", status);
}

void metadata_stamp_deletion(yyjson_mut_doc *doc, yyjson_mut_val *object, int64_t now_us)
{
    yyjson_mut_val *metadata = metadata_of(object);
    char now[TIMESTAMP_SIZE];

    if (metadata_is_deleting(object))
        return;
    timestamp(now, now_us);
    json_mut_set_str(doc, metadata, "deletionTimestamp", now);
    json_mut_set_int(doc, metadata, "deletionGracePeriodSeconds", 0);
    json_mut_set_int(doc, metadata, "generation", yyjson_mut_get_sint(yyjson_mut_obj_get(metadata, "generation")) + 1);
}

bool metadata_is_deleting(yyjson_mut_val *object)
{
    return yyjson_mut_is_str(json_mut_at(object, "metadata.deletionTimestamp"));
}

bool metadata_has_finalizers(yyjson_mut_val *object)
{
    return yyjson_mut_arr_size(json_mut_at(object, "metadata.finalizers")) > 0;
}
