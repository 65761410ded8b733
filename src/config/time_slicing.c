#include "config/time_slicing.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/yaml.h"

struct slice {
    char *models; /* NULL: any */
    char *resource;
    unsigned replicas;
};
struct time_slicing {
    struct slice *first;
    size_t n;
};

/* Where in the file: the key of a ConfigMap's data, or none. */
struct place {
    const char *file, *key;
};

static int refuse(const struct place *at, struct error **err, const char *field, const char *why)
{
    return error_set(err, REASON_INVALID, "%s: %s%s%s%s: %s", at->file, at->key ? "data[" : "", at->key ? at->key : "",
                     at->key ? "]: " : "", field, why);
}

/* --- One configuration --- */

static int add_resource(struct time_slicing *s, yyjson_val *one, size_t i, const struct place *at, struct error **err)
{
    _cleanup_free_ char *field = xasprintf("sharing.timeSlicing.resources[%zu]", i);
    _cleanup_free_ char *replicas_field = xasprintf("%s.replicas", field), *name_field = xasprintf("%s.name", field);
    yyjson_val *replicas = yyjson_obj_get(one, "replicas"), *devices = yyjson_obj_get(one, "devices");
    const char *name = json_str_at(one, "name");

    if (name == NULL || *name == '\0' || strlen(name) > 253)
        return refuse(at, err, name_field, "expected the name of a resource, as nvidia.com/gpu");
    if (!yyjson_is_uint(replicas) || yyjson_get_uint(replicas) < 1 || yyjson_get_uint(replicas) > TIME_SLICING_MAX)
        return refuse(at, err, replicas_field, "expected a whole number from 1 to 256");
    if (devices && !yyjson_equals_str(devices, "all"))
        return refuse(at, err, field, "single devices cannot be chosen (devices: all)");
    if (yyjson_obj_get(one, "rename"))
        return refuse(at, err, field, "a resource cannot be renamed");
    s->first = xreallocarray(s->first, s->n + 1, sizeof(*s->first));
    bool any = at->key == NULL || streq(at->key, "any") || streq(at->key, "default");
    s->first[s->n++] =
        (struct slice){any ? NULL : xstrdup(at->key), xstrdup(name), (unsigned)yyjson_get_uint(replicas)};
    return 0;
}

static int check_renamed(yyjson_val *slicing, const struct place *at, struct error **err)
{
    if (json_bool_at(slicing, "renameByDefault", false))
        return refuse(at, err, "sharing.timeSlicing.renameByDefault", "a resource cannot be renamed");
    return 0;
}

static int add_configuration(struct time_slicing *s, yyjson_val *root, const struct place *at, struct error **err)
{
    yyjson_val *slicing = json_at(root, "sharing.timeSlicing"), *list = yyjson_obj_get(slicing, "resources"), *one;
    size_t i, n;

    if (!yyjson_is_obj(root))
        return refuse(at, err, "version", "expected keys and values");
    if (!streq(json_str_at(root, "version"), "v1"))
        return refuse(at, err, "version", "expected v1");
    if (json_at(root, "sharing.mps"))
        return refuse(at, err, "sharing.mps", "is not offered: GPUs are shared by time");
    if (slicing && !yyjson_is_arr(list))
        return refuse(at, err, "sharing.timeSlicing.resources", "expected a list");
    if (check_renamed(slicing, at, err) < 0)
        return -1;
    yyjson_arr_foreach (list, i, n, one) {
        if (add_resource(s, one, i, at, err) < 0)
            return -1;
    }
    return 0;
}

/* --- A ConfigMap of them --- */

static int add_text(struct time_slicing *s, struct str text, const struct place *at, struct error **err)
{
    _cleanup_json_ yyjson_doc *doc = yaml_parse(text, NULL, err);

    if (doc == NULL)
        return error_wrap(err, "%s: data[%s]", at->file, at->key);
    return add_configuration(s, yyjson_doc_get_root(doc), at, err);
}

static int add_data(struct time_slicing *s, yyjson_val *data, const char *file, struct error **err)
{
    yyjson_obj_iter iter = yyjson_obj_iter_with(data);
    yyjson_val *key;

    if (yyjson_obj_size(data) == 0)
        return error_set(err, REASON_INVALID, "%s: data: expected configurations of the device plugin", file);
    while ((key = yyjson_obj_iter_next(&iter))) {
        yyjson_val *value = yyjson_obj_iter_get_val(key);
        const struct place at = {file, yyjson_get_str(key)};
        if (!yyjson_is_str(value))
            return refuse(&at, err, "", "expected a text (|-)");
        if (add_text(s, (struct str){yyjson_get_str(value), yyjson_get_len(value)}, &at, err) < 0)
            return -1;
    }
    return 0;
}

struct time_slicing *time_slicing_parse(struct str yaml, const char *file, struct error **err)
{
    _cleanup_json_ yyjson_doc *doc = yaml_parse(yaml, NULL, err);

    if (doc == NULL) {
        error_wrap(err, "%s", file);
        return NULL;
    }
    yyjson_val *root = yyjson_doc_get_root(doc);
    struct time_slicing *s = xcalloc(1, sizeof(*s));
    int rc = streq(json_str_at(root, "kind"), "ConfigMap")
                 ? add_data(s, yyjson_obj_get(root, "data"), file, err)
                 : add_configuration(s, root, &(struct place){file, NULL}, err);
    if (rc == 0)
        return s;
    time_slicing_free(s);
    return NULL;
}

void time_slicing_free(struct time_slicing *s)
{
    for (size_t i = 0; s && i < s->n; i++) {
        free(s->first[i].models);
        free(s->first[i].resource);
    }
    if (s)
        free(s->first);
    free(s);
}

/* --- Which counts --- */

static struct str next_word(struct str *rest)
{
    struct str word = {rest->p, 0};

    while (rest->n && !ascii_isalnum(*rest->p))
        *rest = (struct str){rest->p + 1, rest->n - 1};
    word.p = rest->p;
    while (word.n < rest->n && ascii_isalnum(rest->p[word.n]))
        word.n++;
    *rest = (struct str){rest->p + word.n, rest->n - word.n};
    return word;
}

static bool is_same_word(struct str a, struct str b)
{
    if (a.n != b.n)
        return false;
    for (size_t i = 0; i < a.n; i++)
        if (ascii_tolower(a.p[i]) != ascii_tolower(b.p[i]))
            return false;
    return true;
}

/* How many words the models are named with; 0: this model is none of them. */
static size_t words_found(const char *models, const char *model)
{
    struct str wanted = str_from(models), rest = str_from(model), word, other;
    size_t n = 0;

    for (;;) {
        word = next_word(&wanted);
        if (word.n == 0)
            return n;
        do
            other = next_word(&rest);
        while (other.n && !is_same_word(word, other));
        if (other.n == 0)
            return 0;
        n++;
    }
}

unsigned time_slicing_replicas(const struct time_slicing *s, const char *resource, const char *model)
{
    unsigned replicas = 1;
    size_t most = 0;

    for (size_t i = 0; s && i < s->n; i++) {
        const struct slice *one = &s->first[i];
        if (!streq(one->resource, resource))
            continue;
        size_t words = one->models ? words_found(one->models, model ? model : "") : 0;
        if ((one->models == NULL && most == 0) || words > most) {
            replicas = one->replicas;
            most = words;
        }
    }
    return replicas;
}
