#include "server/hooks/content_status.h"

#include <stdio.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "server/hooks/objects.h"

static const char *const phase_names[] = {[CONTENT_PENDING] = "Pending",
                                          [CONTENT_UPLOADING] = "Uploading",
                                          [CONTENT_UNPACKING] = "Unpacking",
                                          [CONTENT_READY] = "Ready",
                                          [CONTENT_FAILED] = "Failed"};

#define NOTHING_YET "nothing has been uploaded yet"

/* --- Reading --- */

enum content_phase content_phase(yyjson_val *object)
{
    for (size_t i = 0; i < ARRAY_SIZE(phase_names); i++)
        if (streq(json_str_at(object, "status.phase"), phase_names[i]))
            return (enum content_phase)i;
    return CONTENT_PENDING;
}

const char *content_folder(yyjson_val *object)
{
    const char *folder = json_str_at(object, "spec.folder");
    return folder ? folder : json_str_at(object, "metadata.name");
}

const char *content_folder_mut(yyjson_mut_val *object)
{
    const char *folder = json_mut_str_at(object, "spec.folder");
    return folder ? folder : json_mut_str_at(object, "metadata.name");
}

bool content_has_version(yyjson_val *object, uint64_t version)
{
    yyjson_val *list = json_at(object, "status.versions"), *one;
    size_t i, n;

    yyjson_arr_foreach (list, i, n, one) {
        if ((uint64_t)json_int_at(one, "version", 0) == version)
            return true;
    }
    return false;
}

uint64_t content_wanted(yyjson_val *object)
{
    uint64_t wanted = (uint64_t)json_int_at(object, "spec.version", 0);
    yyjson_val *newest = yyjson_arr_get_last(json_at(object, "status.versions"));

    return wanted ? wanted : (uint64_t)json_int_at(newest, "version", 0);
}

/* --- Writing --- */

struct news {
    const struct content_object *which;
    yyjson_mut_doc *doc;
    yyjson_mut_val *status;
    enum content_phase phase;
    const char *progress, *message;
    const struct upload *upload;
    const struct content_shelved *shelved;
    void (*write)(struct news *n);
};

static void say(struct news *n, enum content_phase phase, const char *progress, const char *message)
{
    json_mut_set_str(n->doc, n->status, "phase", phase_names[phase]);
    json_mut_set_str(n->doc, n->status, "progress", progress);
    json_mut_set_str(n->doc, n->status, "message", message);
}

static int write_news(struct store_txn *t, void *arg, struct error **err)
{
    struct news *n = arg;
    const struct content_object *o = n->which;
    _cleanup_json_mut_ yyjson_mut_doc *doc = object_read_mutable(t, o->plural, o->name);
    yyjson_mut_val *root = yyjson_mut_doc_get_root(doc);

    if (doc == NULL || !streq(json_mut_str_at(root, "metadata.uid"), o->uid))
        return error_set(err, REASON_NOT_FOUND, "%s/%s was deleted meanwhile", o->plural, o->name);
    txn_essential(t);
    n->doc = doc;
    n->status = json_mut_make_obj(doc, root, "status");
    n->write(n);
    object_write(t, o->plural, doc);
    return 0;
}

static void write_phase(struct news *n)
{
    say(n, n->phase, n->progress, n->message);
}

int content_say(struct store *store, const struct content_object *o, enum content_phase phase, const char *progress,
                const char *message, struct error **err)
{
    struct news n = {.which = o, .phase = phase, .progress = progress, .message = message, .write = write_phase};

    return store_run(store, write_news, &n, err);
}

static void write_idle(struct news *n)
{
    bool there = yyjson_mut_obj_get(n->status, "version") != NULL;

    say(n, there ? CONTENT_READY : CONTENT_PENDING, NULL, n->message ? n->message : there ? NULL : NOTHING_YET);
}

int content_say_idle(struct store *store, const struct content_object *o, const char *message, struct error **err)
{
    struct news n = {.which = o, .message = message, .write = write_idle};

    return store_run(store, write_news, &n, err);
}

void content_begin_status(struct admission *a)
{
    struct news n = {.doc = a->doc, .status = json_mut_make_obj(a->doc, a->object, "status")};

    write_idle(&n);
}

/* --- What there is --- */

static bool is_shelved(const struct content_shelved *s, uint64_t version)
{
    for (size_t i = 0; i < s->n; i++)
        if (s->kept[i] == version)
            return true;
    return version == s->present;
}

/* What is on the disk no more goes from the list too. */
static yyjson_mut_val *keep_shelved(struct news *n)
{
    yyjson_mut_val *list = yyjson_mut_obj_get(n->status, "versions"), *one;
    yyjson_mut_arr_iter iter;

    if (!yyjson_mut_is_arr(list)) {
        list = yyjson_mut_arr(n->doc);
        json_mut_set(n->doc, n->status, "versions", list);
    }
    iter = yyjson_mut_arr_iter_with(list);
    while ((one = yyjson_mut_arr_iter_next(&iter)))
        if (!is_shelved(n->shelved, yyjson_mut_get_uint(yyjson_mut_obj_get(one, "version"))) ||
            (n->upload && yyjson_mut_get_uint(yyjson_mut_obj_get(one, "version")) == n->upload->outcome.version))
            yyjson_mut_arr_iter_remove(&iter);
    return list;
}

static void display_size(char out[static 32], uint64_t bytes)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    double n = (double)bytes;
    size_t i = 0;

    for (; n >= 1024 && i + 1 < ARRAY_SIZE(units); i++)
        n /= 1024;
    snprintf(out, 32, i ? "%.1f %s" : "%.0f %s", n, units[i]);
}

static void add_version(struct news *n, yyjson_mut_val *list, const char *now)
{
    const struct upload *u = n->upload;
    yyjson_mut_val *one = yyjson_mut_arr_add_obj(n->doc, list);

    json_mut_set_int(n->doc, one, "version", (int64_t)u->outcome.version);
    json_mut_set_int(n->doc, one, "size", (int64_t)u->outcome.bytes);
    json_mut_set_int(n->doc, one, "files", (int64_t)u->outcome.files);
    json_mut_set_str(n->doc, one, "checksum", u->checksum);
    json_mut_set_str(n->doc, one, "fileName", u->file_name);
    json_mut_set_str(n->doc, one, "uploaded", now);
}

/* The present one's own, from the list. */
static void show_present(struct news *n, yyjson_mut_val *list, const char *now)
{
    static const char *const shown[] = {"version", "size", "files", "checksum", "fileName"};
    yyjson_mut_arr_iter iter = yyjson_mut_arr_iter_with(list);
    yyjson_mut_val *one, *value;
    char text[32];

    while ((one = yyjson_mut_arr_iter_next(&iter))) {
        if (yyjson_mut_get_uint(yyjson_mut_obj_get(one, "version")) != n->shelved->present)
            continue;
        for (size_t i = 0; i < ARRAY_SIZE(shown); i++)
            if ((value = yyjson_mut_obj_get(one, shown[i])))
                json_mut_set(n->doc, n->status, shown[i], yyjson_mut_val_mut_copy(n->doc, value));
        display_size(text, yyjson_mut_get_uint(yyjson_mut_obj_get(one, "size")));
        json_mut_set_str(n->doc, n->status, "displaySize", text);
    }
    json_mut_set_str(n->doc, n->status, "lastUpdate", now);
    json_mut_set_str(n->doc, json_mut_make_obj(n->doc, yyjson_mut_doc_get_root(n->doc), "spec"), "lastUpdate", now);
    say(n, CONTENT_READY, NULL, NULL);
}

/* An upload is meant to be seen, whatever was asked for before. */
static void forget_wanted(struct news *n)
{
    yyjson_mut_val *root = yyjson_mut_doc_get_root(n->doc), *spec = json_mut_make_obj(n->doc, root, "spec");
    yyjson_mut_val *generation = json_mut_at(root, "metadata.generation");

    json_mut_set_int(n->doc, spec, "size", (int64_t)n->upload->offset);
    if (yyjson_mut_obj_get(spec, "version") == NULL)
        return;
    json_mut_remove(spec, "version");
    json_mut_set_int(n->doc, json_mut_make_obj(n->doc, root, "metadata"), "generation",
                     yyjson_mut_get_sint(generation) + 1);
}

static void write_shelved(struct news *n)
{
    char now[TIMESTAMP_SIZE];
    yyjson_mut_val *list = keep_shelved(n);

    timestamp(now, clock_realtime_us());
    if (n->upload) {
        add_version(n, list, now);
        forget_wanted(n);
    }
    show_present(n, list, now);
}

int content_say_published(struct store *store, const struct content_object *o, const struct upload *u,
                          const struct content_shelved *shelved, struct error **err)
{
    struct news n = {.which = o, .upload = u, .shelved = shelved, .write = write_shelved};

    return store_run(store, write_news, &n, err);
}

int content_say_rolled_back(struct store *store, const struct content_object *o, const struct content_shelved *shelved,
                            struct error **err)
{
    struct news n = {.which = o, .shelved = shelved, .write = write_shelved};

    return store_run(store, write_news, &n, err);
}
