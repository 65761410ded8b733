#include "runner/gpu/cdi.h"

#include <dirent.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/io.h"
#include "base/log.h"
#include "base/yaml.h"
#include "runner/gpu/parts.h"

#define CDI_VERSION "0.5.0"
#define VENDOR_KIND "nvidia.com/gpu"
#define MOST_BYTES (256 << 10)

/* --- Reading --- */

/* «vendor.com/class=name» goes to the engine as it is: only what the format allows. */
static bool is_name(const char *s)
{
    if (s == NULL || *s == '\0' || strlen(s) > 128)
        return false;
    for (; *s; s++)
        if (!ascii_isalnum(*s) && strchr("-_.:", *s) == NULL)
            return false;
    return true;
}

static bool is_kind(const char *s)
{
    const char *slash = s ? strchr(s, '/') : NULL;

    if (slash == NULL)
        return false;
    _cleanup_free_ char *vendor = xstrndup(s, (size_t)(slash - s));
    return is_name(vendor) && is_name(slash + 1);
}

int cdi_read(struct arena *a, struct str text, struct cdi_file *out, struct error **err)
{
    /* JSON is YAML too, but for texts of other rules than ours of either. */
    struct str trimmed = str_trim(text);
    _cleanup_json_ yyjson_doc *doc =
        trimmed.n && *trimmed.p == '{' ? json_parse(text, err) : yaml_parse(text, NULL, err);
    yyjson_val *root = yyjson_doc_get_root(doc), *list = json_at(root, "devices"), *one;
    size_t i, max;

    if (doc == NULL)
        return -1;
    *out = (struct cdi_file){0};
    if (!is_kind(json_str_at(root, "kind")))
        return error_set(err, REASON_INVALID, "its kind is not of the form vendor.com/class");
    out->kind = arena_strdup(a, json_str_at(root, "kind"));
    out->devices = arena_alloc(a, (yyjson_arr_size(list) + 1) * sizeof(char *));
    yyjson_arr_foreach (list, i, max, one) {
        const char *name = json_str_at(one, "name");
        if (is_name(name))
            out->devices[out->devices_len++] = arena_strdup(a, name);
    }
    return 0;
}

static bool has_device(const struct cdi_file *f, const char *name)
{
    for (size_t i = 0; i < f->devices_len; i++)
        if (streq(f->devices[i], name))
            return true;
    return false;
}

/* By its id, which nothing else has; by its place in the driver's order where the file is of the vendor's kind. */
static const char *name_in(struct arena *a, const struct cdi_file *f, const struct gpu *g)
{
    const char *place = g->is_part ? arena_printf(a, "%u:%u", g->index, g->part) : arena_printf(a, "%u", g->index);

    if (streq(f->kind, CDI_KIND))
        return NULL;
    if (has_device(f, g->id))
        return arena_printf(a, "%s=%s", f->kind, g->id);
    return streq(f->kind, VENDOR_KIND) && has_device(f, place) ? arena_printf(a, "%s=%s", f->kind, place) : NULL;
}

static const char *find_in_file(struct arena *a, const char *path, const struct gpu *g)
{
    _cleanup_error_ struct error *err = NULL;
    struct cdi_file f;
    size_t n;
    _cleanup_free_ char *text = read_file(path, MOST_BYTES, &n, &err);

    if (text && cdi_read(a, (struct str){text, n}, &f, &err) == 0)
        return name_in(a, &f, g);
    log_warning("%s is left alone: %s", path, err->message);
    return NULL;
}

static bool is_cdi_file(const char *name)
{
    return *name != '.' && (ends_with(name, ".json") || ends_with(name, ".yaml") || ends_with(name, ".yml"));
}

static const char *find_in_folder(struct arena *a, const char *folder, const struct gpu *g)
{
    DIR *d = opendir(folder);
    const char *found = NULL;
    const struct dirent *entry;

    while (d && found == NULL && (entry = readdir(d)))
        if (is_cdi_file(entry->d_name))
            found = find_in_file(a, arena_printf(a, "%s/%s", folder, entry->d_name), g);
    if (d)
        closedir(d);
    return found;
}

const char *cdi_find(struct arena *a, const char *const *folders, const struct gpu *g)
{
    const char *found = NULL;

    for (; *folders && found == NULL; folders++)
        found = find_in_folder(a, *folders, g);
    return found;
}

/* --- Writing --- */

const char *cdi_own_name(struct arena *a, const char *installation, const char *id)
{
    return arena_printf(a, CDI_KIND "=%.8s_%s", installation, id);
}

static void add_nodes(yyjson_mut_doc *d, yyjson_mut_val *edits, const struct gpu_parts *p)
{
    yyjson_mut_val *list = yyjson_mut_arr(d);

    for (size_t i = 0; i < p->nodes_len; i++) {
        yyjson_mut_val *one = yyjson_mut_arr_add_obj(d, list);
        _cleanup_free_ char *path = xasprintf("/dev/%s", p->nodes[i]);
        json_mut_set_str(d, one, "path", path);
        json_mut_set_str(d, one, "permissions", "rw"); /* no making of nodes */
    }
    json_mut_set(d, edits, "deviceNodes", list);
}

static void add_mounts(yyjson_mut_doc *d, yyjson_mut_val *edits, const struct gpu_parts *p)
{
    static const char *const options[] = {"ro", "nosuid", "nodev", "bind"};
    yyjson_mut_val *list = yyjson_mut_arr(d);

    for (size_t i = 0; i < p->files_len; i++) {
        yyjson_mut_val *one = yyjson_mut_arr_add_obj(d, list);
        json_mut_set_str(d, one, "hostPath", p->files[i].source);
        json_mut_set_str(d, one, "containerPath", p->files[i].target);
        json_mut_set(d, one, "options",
                     yyjson_mut_arr_with_strcpy(d, (const char **)(void *)options, ARRAY_SIZE(options)));
    }
    json_mut_set(d, edits, "mounts", list);
}

static void add_device(yyjson_mut_doc *d, yyjson_mut_val *list, const char *installation, const struct gpu *g)
{
    _cleanup_arena_ struct arena *a = arena_new();
    yyjson_mut_val *one = yyjson_mut_arr_add_obj(d, list);
    struct gpu_parts own;

    gpu_parts_own(a, g, &own);
    json_mut_set_str(d, one, "name", strchr(cdi_own_name(a, installation, g->id), '=') + 1);
    add_nodes(d, json_mut_make_obj(d, one, "containerEdits"), &own);
}

char *cdi_text(const char *installation, const struct gpu_list *l)
{
    _cleanup_arena_ struct arena *a = arena_new();
    yyjson_mut_doc *d = json_mut_new(a);
    yyjson_mut_val *root = yyjson_mut_obj(d), *list = yyjson_mut_arr(d);
    struct gpu_parts shared;
    size_t n;

    yyjson_mut_doc_set_root(d, root);
    json_mut_set_str(d, root, "cdiVersion", CDI_VERSION);
    json_mut_set_str(d, root, "kind", CDI_KIND);
    for (size_t i = 0; i < l->n; i++)
        if (l->gpus[i].state != GPU_LOST)
            add_device(d, list, installation, &l->gpus[i]);
    json_mut_set(d, root, "devices", list);
    gpu_parts_shared(a, l, &shared);
    yyjson_mut_val *edits = json_mut_make_obj(d, root, "containerEdits");
    add_nodes(d, edits, &shared);
    add_mounts(d, edits, &shared);
    return json_mut_write(root, &n);
}

static char *own_path(const char *folder, const char *installation)
{
    return xasprintf("%s/openhydra-%.8s.json", folder, installation);
}

int cdi_write(const char *folder, const char *installation, const struct gpu_list *l, struct error **err)
{
    _cleanup_free_ char *path = own_path(folder, installation), *text = cdi_text(installation, l);
    _cleanup_free_ char *present = path_exists(path) ? read_file(path, MOST_BYTES, NULL, NULL) : NULL;

    if (streq(present, text))
        return 0;
    return make_directory(folder, 0755, err) < 0 ? -1 : write_file_atomic(path, str_from(text), 0644, err);
}

void cdi_remove(const char *folder, const char *installation)
{
    _cleanup_free_ char *path = own_path(folder, installation);
    unlink(path);
}
