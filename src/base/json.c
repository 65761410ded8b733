#include "base/json.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/text.h"

/* Containers in yyjson are flat arrays; this walks without recursion and cannot overflow the stack on hostile depth. */
bool json_deeper_than(struct str text, unsigned most)
{
    size_t depth = 0;
    bool in_string = false;

    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        if (in_string) {
            if (c == '\\')
                i++;
            else if (c == '"')
                in_string = false;
        } else if (c == '"') {
            in_string = true;
        } else if (c == '{' || c == '[') {
            if (++depth > most)
                return true;
        } else if ((c == '}' || c == ']') && depth) {
            depth--;
        }
    }
    return false;
}

static void free_document(void *doc)
{
    yyjson_doc_free(doc);
}

void json_keep(struct arena *a, yyjson_doc *doc)
{
    arena_defer(a, free_document, doc);
}

/* --- In an arena --- */

/* A small object takes so much: more makes it grow by doubling. */
#define DOC_VALUES 64
#define DOC_TEXT 768

static void *alloc_in(void *arena, size_t size)
{
    return arena_alloc(arena, size);
}

static void *realloc_in(void *arena, void *p, size_t old, size_t size)
{
    return size <= old ? p : memcpy(arena_alloc(arena, size), p, old);
}

/* It goes with the arena. */
static void free_in(void *arena, void *p)
{
}

yyjson_mut_doc *json_mut_new(struct arena *a)
{
    const yyjson_alc in_arena = {alloc_in, realloc_in, free_in, a};
    yyjson_mut_doc *doc = yyjson_mut_doc_new(&in_arena);

    if (doc == NULL || !yyjson_mut_doc_set_val_pool_size(doc, DOC_VALUES) ||
        !yyjson_mut_doc_set_str_pool_size(doc, DOC_TEXT))
        abort();
    return doc;
}

yyjson_doc *json_parse(struct str text, struct error **err)
{
    yyjson_read_err why;

    if (json_deeper_than(text, JSON_MAX_DEPTH)) {
        error_set(err, REASON_BAD_REQUEST, "the JSON text is nested more than %d levels deep", JSON_MAX_DEPTH);
        return NULL;
    }
    /* yyjson only writes to its input in situ, which is not asked for here. */
    yyjson_doc *doc = yyjson_read_opts((char *)(uintptr_t)text.p, text.n, 0, NULL, &why);
    if (doc == NULL)
        error_set(err, REASON_BAD_REQUEST, "not JSON at byte %zu: %s", why.pos, why.msg);
    return doc;
}

yyjson_val *json_at(yyjson_val *v, const char *path)
{
    struct str rest = str_from(path), part;

    while (v && str_split(&rest, '.', &part))
        v = yyjson_obj_getn(v, part.p, part.n);
    return v;
}

yyjson_mut_val *json_mut_at(yyjson_mut_val *v, const char *path)
{
    struct str rest = str_from(path), part;

    while (v && str_split(&rest, '.', &part))
        v = yyjson_mut_obj_getn(v, part.p, part.n);
    return v;
}

const char *json_str_at(yyjson_val *v, const char *path)
{
    return yyjson_get_str(json_at(v, path));
}

const char *json_mut_str_at(yyjson_mut_val *v, const char *path)
{
    return yyjson_mut_get_str(json_mut_at(v, path));
}

int64_t json_int_at(yyjson_val *v, const char *path, int64_t otherwise)
{
    yyjson_val *found = json_at(v, path);
    return yyjson_is_int(found) ? yyjson_get_sint(found) : otherwise;
}

bool json_bool_at(yyjson_val *v, const char *path, bool otherwise)
{
    yyjson_val *found = json_at(v, path);
    return yyjson_is_bool(found) ? yyjson_get_bool(found) : otherwise;
}

yyjson_mut_val *json_mut_make_obj(yyjson_mut_doc *doc, yyjson_mut_val *v, const char *path)
{
    struct str rest = str_from(path), part;

    while (str_split(&rest, '.', &part)) {
        yyjson_mut_val *next = yyjson_mut_obj_getn(v, part.p, part.n);
        if (!yyjson_mut_is_obj(next)) {
            next = yyjson_mut_obj(doc);
            yyjson_mut_obj_put(v, yyjson_mut_strncpy(doc, part.p, part.n), next);
        }
        v = next;
    }
    return v;
}

void json_mut_set(yyjson_mut_doc *doc, yyjson_mut_val *obj, const char *key, yyjson_mut_val *value)
{
    yyjson_mut_obj_put(obj, yyjson_mut_strcpy(doc, key), value);
}

void json_mut_set_str(yyjson_mut_doc *doc, yyjson_mut_val *obj, const char *key, const char *value)
{
    if (value == NULL)
        json_mut_remove(obj, key);
    else
        json_mut_set(doc, obj, key, yyjson_mut_strcpy(doc, value));
}

void json_mut_set_int(yyjson_mut_doc *doc, yyjson_mut_val *obj, const char *key, int64_t value)
{
    /* As a reader would have it, so that what is compared by type later (an enum, two objects) is the same. */
    json_mut_set(doc, obj, key, value < 0 ? yyjson_mut_sint(doc, value) : yyjson_mut_uint(doc, (uint64_t)value));
}

void json_mut_set_bool(yyjson_mut_doc *doc, yyjson_mut_val *obj, const char *key, bool value)
{
    json_mut_set(doc, obj, key, yyjson_mut_bool(doc, value));
}

void json_mut_remove(yyjson_mut_val *obj, const char *key)
{
    yyjson_mut_obj_remove_key(obj, key);
}

char *json_write(yyjson_val *v, size_t *n)
{
    char *out = yyjson_val_write(v, 0, n);
    if (out == NULL)
        abort();
    return out;
}

/* Each byte that belongs to no character becomes '?'. */
static void mend_characters(char *s, size_t n)
{
    for (size_t i = 0, len; i < n; i += len ? len : 1) {
        len = text_character((struct str){s + i, n - i});
        if (len == 0)
            s[i] = '?';
    }
}

char *json_mut_write(yyjson_mut_val *v, size_t *n)
{
    size_t len;
    char *out = yyjson_mut_val_write(v, 0, &len);

    if (out == NULL) {
        out = yyjson_mut_val_write(v, YYJSON_WRITE_ALLOW_INVALID_UNICODE, &len);
        if (out == NULL)
            abort();
        mend_characters(out, len);
    }
    if (n)
        *n = len;
    return out;
}

bool json_equal(yyjson_val *a, yyjson_val *b)
{
    return yyjson_equals(a, b);
}
