#include <stdarg.h>
#include <stdio.h>

#include "server/model/metadata.h"
#include "server/model/schema.h"

/* Not in Kubernetes, where the size of a request is the only limit. */
#define MAX_REFERENCES 64
#define SHOWN_SIZE 512

static void _printf_(5, 6) add_metadata_cause(struct error **err, size_t *findings, const char *field,
                                              const char *reason, const char *fmt, ...)
{
    char text[2 * SHOWN_SIZE];
    va_list args;

    if ((*findings)++ >= SCHEMA_MAX_REPORTS)
        return;
    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    error_add_cause(err, field, reason, "%s", text);
}

/* A piece of what was sent, quoted; short, since it may be anything. */
static const char *quoted(char out[static SHOWN_SIZE], struct str s)
{
    _cleanup_buffer_ struct buffer b = BUFFER_MAX(SHOWN_SIZE - 1);

    buffer_json_string(&b, s.n > 100 ? STR("...") : s);
    snprintf(out, SHOWN_SIZE, "%s", b.overflow ? "\"...\"" : buffer_str(&b).p);
    return out;
}

static struct str text_of(yyjson_mut_val *v)
{
    /* yyjson_mut_get_len is the number of members where v is no string */
    return yyjson_mut_is_str(v) ? (struct str){unsafe_yyjson_get_str(v), unsafe_yyjson_get_len(v)} : STR("");
}

static void check_name(const struct kind *k, yyjson_mut_val *metadata, struct error **err, size_t *findings)
{
    struct str name = text_of(yyjson_mut_obj_get(metadata, "name"));
    char shown[SHOWN_SIZE];

    if (name.n == 0)
        add_metadata_cause(err, findings, "metadata.name", "FieldValueRequired",
                           "Required value: name or generateName is required");
    else if (k->name_is_label && !is_dns_label(name))
        add_metadata_cause(
            err, findings, "metadata.name", "FieldValueInvalid",
            "Invalid value: %s: a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', "
            "start and "
            "end with an alphanumeric character, and have at most 63 of them (e.g. 'my-name' or '123-abc')",
            quoted(shown, name));
    else if (!is_dns_subdomain(name))
        add_metadata_cause(
            err, findings, "metadata.name", "FieldValueInvalid",
            "Invalid value: %s: a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' "
            "or '.', "
            "and must start and end with an alphanumeric character (e.g. 'example.com')",
            quoted(shown, name));
}

static void check_labels(yyjson_mut_val *labels, struct error **err, size_t *findings)
{
    yyjson_mut_obj_iter iter = yyjson_mut_obj_iter_with(labels);
    char shown[SHOWN_SIZE];
    yyjson_mut_val *k;
    const char *why;

    while ((k = yyjson_mut_obj_iter_next(&iter)) && *findings < SCHEMA_MAX_REPORTS) {
        struct str value = text_of(yyjson_mut_obj_iter_get_val(k));
        if (!label_key_valid(text_of(k), &why))
            add_metadata_cause(err, findings, "metadata.labels", "FieldValueInvalid", "Invalid value: %s: %s",
                               quoted(shown, text_of(k)), why);
        if (!label_value_valid(value, &why))
            add_metadata_cause(err, findings, "metadata.labels", "FieldValueInvalid", "Invalid value: %s: %s",
                               quoted(shown, value), why);
    }
}

static void check_annotations(yyjson_mut_val *annotations, struct error **err, size_t *findings)
{
    yyjson_mut_obj_iter iter = yyjson_mut_obj_iter_with(annotations);
    char shown[SHOWN_SIZE], lower[SHOWN_SIZE];
    yyjson_mut_val *k;
    const char *why;
    size_t total = 0;

    while ((k = yyjson_mut_obj_iter_next(&iter)) && *findings < SCHEMA_MAX_REPORTS) {
        struct str key = text_of(k);
        total += key.n + text_of(yyjson_mut_obj_iter_get_val(k)).n;
        /* Annotation keys, unlike labels', are compared without regard to case. */
        size_t n = key.n < sizeof(lower) ? key.n : sizeof(lower);
        for (size_t i = 0; i < n; i++)
            lower[i] = ascii_tolower(key.p[i]);
        if (!label_key_valid((struct str){lower, n}, &why))
            add_metadata_cause(err, findings, "metadata.annotations", "FieldValueInvalid", "Invalid value: %s: %s",
                               quoted(shown, key), why);
    }
    if (total > METADATA_MAX_ANNOTATIONS)
        add_metadata_cause(err, findings, "metadata.annotations", "FieldValueTooLong",
                           "Too long: may not be more than %zu bytes", METADATA_MAX_ANNOTATIONS);
}

static bool too_many(yyjson_mut_val *list, const char *field, struct error **err, size_t *findings)
{
    size_t n = yyjson_mut_arr_size(list);

    if (n <= MAX_REFERENCES)
        return false;
    add_metadata_cause(err, findings, field, "FieldValueTooMany", "Too many: %zu: must have at most %d items", n,
                       MAX_REFERENCES);
    return true;
}

static bool is_finalizer_name(struct str s, const char **why)
{
    if (!label_key_valid(s, why))
        return false;
    *why = "name is neither a standard finalizer name nor is it fully qualified";
    return memchr(s.p, '/', s.n) || str_is(s, "orphan") || str_is(s, "foregroundDeletion") || str_is(s, "kubernetes");
}

static void check_finalizers(yyjson_mut_val *list, struct error **err, size_t *findings)
{
    yyjson_mut_arr_iter iter = yyjson_mut_arr_iter_with(list);
    char field[64], shown[SHOWN_SIZE];
    yyjson_mut_val *v;
    const char *why;

    if (too_many(list, "metadata.finalizers", err, findings))
        return;
    for (unsigned i = 0; (v = yyjson_mut_arr_iter_next(&iter)); i++) {
        snprintf(field, sizeof(field), "metadata.finalizers[%u]", i);
        if (!is_finalizer_name(text_of(v), &why))
            add_metadata_cause(err, findings, field, "FieldValueInvalid", "Invalid value: %s: %s",
                               quoted(shown, text_of(v)), why);
    }
}

static void check_owners(yyjson_mut_val *list, struct error **err, size_t *findings)
{
    static const char *const needed[] = {"apiVersion", "kind", "name", "uid"};
    yyjson_mut_arr_iter iter = yyjson_mut_arr_iter_with(list);
    char field[64];
    yyjson_mut_val *v;

    if (too_many(list, "metadata.ownerReferences", err, findings))
        return;
    for (unsigned i = 0; (v = yyjson_mut_arr_iter_next(&iter)); i++)
        for (size_t j = 0; j < ARRAY_SIZE(needed); j++) {
            snprintf(field, sizeof(field), "metadata.ownerReferences[%u].%s", i, needed[j]);
            if (text_of(yyjson_mut_obj_get(v, needed[j])).n == 0)
                add_metadata_cause(err, findings, field, "FieldValueRequired", "Required value");
        }
}

static void check_namespace(const struct kind *k, struct str said, struct error **err, size_t *findings)
{
    if (k->namespace == NULL && said.n)
        add_metadata_cause(err, findings, "metadata.namespace", "FieldValueForbidden",
                           "Forbidden: not allowed on this type");
    else if (k->namespace && !str_is(said, k->namespace))
        add_metadata_cause(err, findings, "metadata.namespace", "FieldValueInvalid",
                           "Invalid value: \"%.*s\": there is the namespace %s alone", (int)said.n,
                           said.n ? said.p : "", k->namespace);
}

int metadata_validate(const struct kind *k, yyjson_mut_val *object, struct error **err)
{
    yyjson_mut_val *metadata = yyjson_mut_obj_get(object, "metadata");
    size_t findings = 0;

    check_name(k, metadata, err, &findings);
    check_namespace(k, text_of(yyjson_mut_obj_get(metadata, "namespace")), err, &findings);
    check_labels(yyjson_mut_obj_get(metadata, "labels"), err, &findings);
    check_annotations(yyjson_mut_obj_get(metadata, "annotations"), err, &findings);
    check_finalizers(yyjson_mut_obj_get(metadata, "finalizers"), err, &findings);
    check_owners(yyjson_mut_obj_get(metadata, "ownerReferences"), err, &findings);
    return findings ? -1 : 0;
}

static bool has_finalizer(yyjson_val *list, struct str name)
{
    yyjson_arr_iter iter = yyjson_arr_iter_with(list);
    yyjson_val *v;

    while ((v = yyjson_arr_iter_next(&iter)))
        if (yyjson_equals_strn(v, name.p, name.n))
            return true;
    return false;
}

/* Cleaning up has begun; a new finalizer would find nothing left to protect. */
static void check_no_new_finalizers(yyjson_val *old, yyjson_mut_val *object, struct error **err, size_t *findings)
{
    yyjson_mut_arr_iter iter = yyjson_mut_arr_iter_with(json_mut_at(object, "metadata.finalizers"));
    yyjson_val *before = json_at(old, "metadata.finalizers");
    char shown[SHOWN_SIZE];
    yyjson_mut_val *v;

    while ((v = yyjson_mut_arr_iter_next(&iter)))
        if (!has_finalizer(before, text_of(v)))
            add_metadata_cause(
                err, findings, "metadata.finalizers", "FieldValueForbidden",
                "Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers "
                "[]string{%s}",
                quoted(shown, text_of(v)));
}

int metadata_validate_update(const struct kind *k, yyjson_val *old, yyjson_mut_val *object, struct error **err)
{
    struct str uid = text_of(json_mut_at(object, "metadata.uid"));
    const char *present = json_str_at(old, "metadata.uid");
    size_t findings = 0;

    if (uid.n && !str_is(uid, present))
        return error_set(err, REASON_CONFLICT,
                         "Precondition failed: UID in precondition: %.64s, UID in object meta: %s", uid.p,
                         present ? present : "");
    if (metadata_validate(k, object, err) < 0)
        findings++;
    if (json_at(old, "metadata.deletionTimestamp"))
        check_no_new_finalizers(old, object, err, &findings);
    return findings ? -1 : 0;
}
