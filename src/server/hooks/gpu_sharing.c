#include "server/hooks/gpu_sharing.h"

#include "base/alloc.h"
#include "config/time_slicing.h"
#include "server/hooks/objects.h"

#define CONFIG "spec.devicePlugin.config"
#define FIELD "gpuTimeSlicing"
#define ANY "any"
#define HOSTS_MAX 64

/* --- Which one counts --- */

/* The object as it will be: the one of the write under way, or the store's. NULL: none. */
static yyjson_doc *object_to_be(const struct admission *a, bool goes, struct store_txn *t, const char *plural,
                                const char *name)
{
    if (!streq(a->kind->plural, plural) || !streq(json_mut_str_at(a->object, "metadata.name"), name))
        return object_read(t, plural, name);
    return goes ? NULL : yyjson_mut_val_imut_copy(a->object, NULL);
}

/* «default» is what all GPUs get that no other key names. */
static yyjson_mut_val *choose(yyjson_mut_doc *doc, yyjson_val *data, const char *otherwise)
{
    yyjson_mut_val *out = yyjson_mut_obj(doc);
    yyjson_val *key, *value, *chosen = otherwise ? yyjson_obj_get(data, otherwise) : NULL;
    size_t i, n;

    if (otherwise && chosen == NULL)
        return NULL;
    yyjson_obj_foreach (data, i, n, key, value) {
        bool is_any = yyjson_equals_str(key, ANY) || yyjson_equals_str(key, "default");
        if (value != chosen && !(chosen && is_any))
            json_mut_set(doc, out, yyjson_get_str(key), yyjson_val_mut_copy(doc, value));
    }
    if (chosen)
        json_mut_set(doc, out, ANY, yyjson_val_mut_copy(doc, chosen));
    return out;
}

/* NULL: none counts. */
static yyjson_mut_val *counting(const struct admission *a, bool goes, struct store_txn *t, yyjson_mut_doc *doc)
{
    _cleanup_json_ yyjson_doc *policy = object_to_be(a, goes, t, PLURAL_CLUSTER_POLICIES, CLUSTER_POLICY);
    yyjson_val *root = yyjson_doc_get_root(policy);
    const char *name = json_str_at(root, CONFIG ".name"), *otherwise = json_str_at(root, CONFIG ".default");
    _cleanup_json_ yyjson_doc *map = name && *name ? object_to_be(a, goes, t, PLURAL_CONFIG_MAPS, name) : NULL;

    return map ? choose(doc, yyjson_obj_get(yyjson_doc_get_root(map), "data"),
                        otherwise && *otherwise ? otherwise : NULL)
               : NULL;
}

/* --- Into the Hosts --- */

static void set_slicing(const struct admission *a, bool goes, struct store_txn *t, yyjson_mut_doc *doc,
                        yyjson_mut_val *host)
{
    yyjson_mut_val *slicing = counting(a, goes, t, doc), *spec = json_mut_make_obj(doc, host, "spec");

    if (slicing)
        json_mut_set(doc, spec, FIELD, slicing);
    else
        json_mut_remove(spec, FIELD);
}

void gpu_sharing_write(struct admission *a, struct store_txn *t)
{
    set_slicing(a, false, t, a->doc, a->object);
}

struct hosts {
    struct arena *arena;
    const char *names[HOSTS_MAX];
    size_t n;
};

static bool collect(void *arg, struct object *o)
{
    struct hosts *h = arg;

    if (h->n < HOSTS_MAX)
        h->names[h->n++] = arena_strdup(h->arena, o->name);
    return true;
}

static void tell_hosts(struct admission *a, bool goes, struct store_txn *t)
{
    struct hosts hosts = {.arena = a->arena};
    size_t n;

    txn_list(t, PLURAL_HOSTS, collect, &hosts);
    for (size_t i = 0; i < hosts.n; i++) {
        _cleanup_json_mut_ yyjson_mut_doc *doc = object_read_mutable(t, PLURAL_HOSTS, hosts.names[i]);
        yyjson_mut_val *host = doc ? yyjson_mut_doc_get_root(doc) : NULL;
        if (host == NULL)
            continue;
        _cleanup_free_ char *before = json_mut_write(host, &n);
        set_slicing(a, goes, t, doc, host);
        _cleanup_free_ char *now = json_mut_write(host, &n);
        if (!streq(before, now))
            object_write(t, PLURAL_HOSTS, doc);
    }
}

/* --- ConfigMap --- */

/* As it will be read: one that is wrong would share no GPU, without a word. */
static int check_map(const struct admission *a, struct error **err)
{
    _cleanup_error_ struct error *why = NULL;
    size_t n;
    _cleanup_free_ char *text = json_mut_write(a->object, &n);
    struct time_slicing *s = time_slicing_parse((struct str){text, n}, "", &why);

    time_slicing_free(s);
    return s ? 0
             : error_add_cause(err, "data", "FieldValueInvalid", "Invalid value: %s",
                               why->message + strspn(why->message, ": "));
}

static int admit_map(struct admission *a, struct store_txn *t, struct error **err)
{
    if (a->operation == OPERATION_DELETE)
        return 0;
    if (check_map(a, err) < 0)
        return -1;
    tell_hosts(a, false, t);
    return 0;
}

static int removed(struct admission *a, struct store_txn *t, struct error **err)
{
    tell_hosts(a, true, t);
    return 0;
}

const struct kind_hooks config_map_hooks = {.admit = admit_map, .removed = removed};

/* --- ClusterPolicy --- */

/* Said before it is looked for in vain: the ConfigMap may come later. */
static void warn_of_missing(struct admission *a, struct store_txn *t)
{
    const char *name = json_mut_str_at(a->object, CONFIG ".name"), *key = json_mut_str_at(a->object, CONFIG ".default");
    _cleanup_json_ yyjson_doc *map = name && *name ? object_read(t, PLURAL_CONFIG_MAPS, name) : NULL;

    if (!streq(json_mut_str_at(a->object, "metadata.name"), CLUSTER_POLICY))
        admission_warn(a, "only the ClusterPolicy " CLUSTER_POLICY " counts");
    else if (name && *name && map == NULL)
        admission_warn(a, "there is no ConfigMap %s in gpu-operator: no GPU is shared by it", name);
    else if (map && key && *key && !yyjson_obj_get(yyjson_obj_get(yyjson_doc_get_root(map), "data"), key))
        admission_warn(a, "the ConfigMap %s has no %s: no GPU is shared by it", name, key);
}

static int admit_policy(struct admission *a, struct store_txn *t, struct error **err)
{
    if (a->operation == OPERATION_DELETE)
        return 0;
    warn_of_missing(a, t);
    tell_hosts(a, false, t);
    return 0;
}

const struct kind_hooks cluster_policy_hooks = {.admit = admit_policy, .removed = removed};

/* --- Pod --- */

static int admit_pod(struct admission *a, struct store_txn *t, struct error **err)
{
    if (a->operation == OPERATION_DELETE)
        return 0;
    return error_set(err, REASON_FORBIDDEN,
                     "pods are not run here: an environment is a Device (kubectl explain device)");
}

const struct kind_hooks pod_hooks = {.admit = admit_pod};
