/* Dataset and Course: objects beside which a content lies on the disk (content.h). */
#include "kinds/names.h"

#include <string.h>
#include <strings.h>

#include "base/alloc.h"
#include "server/hooks/content.h"
#include "server/hooks/form_upload.h"
#include "server/hooks/objects.h"
#include "server/hooks/tus_upload.h"

#define FOLDER_BYTES_MAX 255

static struct library *library_of(const struct admission *a)
{
    const struct hook_context *context = a->context;

    return content_library(context->content, a->kind->plural);
}

/* --- What is asked for --- */

static int check_sandbox(struct admission *a, struct store_txn *t, struct error **err)
{
    const char *name = json_mut_str_at(a->object, "spec.sandboxName"), *was = json_str_at(a->old, "spec.sandboxName");

    if (name == NULL || streq(name, was) || txn_get(t, PLURAL_SANDBOXES, str_from(name)))
        return 0;
    return error_add_cause(err, "spec.sandboxName", "FieldValueNotFound", "Sandbox %s not found", name);
}

struct going_back {
    struct publisher *publisher;
    struct library *library;
    char *name;
};

static void go_back(void *arg)
{
    const struct going_back *g = arg;

    publisher_roll_back(g->publisher, g->library, g->name);
}

static void free_going_back(void *arg)
{
    struct going_back *g = arg;

    free(g->name);
    free(g);
}

static void ask_to_go_back(struct admission *a, struct store_txn *t)
{
    const struct hook_context *context = a->context;
    struct going_back *g = xcalloc(1, sizeof(*g));

    *g = (struct going_back){context->content->publisher, library_of(a),
                             xstrdup(json_mut_str_at(a->object, "metadata.name"))};
    txn_after_commit(t, go_back, g, free_going_back);
}

static int admit_version(struct admission *a, struct store_txn *t, struct error **err)
{
    uint64_t wanted = yyjson_mut_get_uint(json_mut_at(a->object, "spec.version"));

    if (wanted == (uint64_t)json_int_at(a->old, "spec.version", 0))
        return 0;
    if (wanted && !content_has_version(a->old, wanted))
        return error_add_cause(err, "spec.version", "FieldValueNotFound",
                               "there is no such version; status.versions has those that are kept");
    ask_to_go_back(a, t);
    return 0;
}

struct same_folder {
    const char *folder;
    const char *name; /* of who has it */
    struct arena *arena;
};

static bool look_for_folder(void *arg, struct object *o)
{
    struct same_folder *s = arg;
    _cleanup_json_ yyjson_doc *doc = json_parse(o->json, NULL);

    if (streq(content_folder(yyjson_doc_get_root(doc)), s->folder))
        s->name = arena_strdup(s->arena, o->name);
    return s->name == NULL;
}

/* A place in one folder on the disk, which no two may have. */
static int check_folder(struct admission *a, struct store_txn *t, struct error **err)
{
    const char *said = json_mut_str_at(a->object, "spec.folder");
    struct same_folder s = {.folder = content_folder_mut(a->object), .arena = a->arena};

    if (said && (*said == '.' || strchr(said, '/') || strlen(said) > FOLDER_BYTES_MAX))
        return error_add_cause(err, "spec.folder", "FieldValueInvalid",
                               "the name of a folder is expected: no slash, no dot at its begin, at most %d bytes",
                               FOLDER_BYTES_MAX);
    txn_list(t, a->kind->plural, look_for_folder, &s);
    if (s.name == NULL)
        return 0;
    return error_set(err, REASON_ALREADY_EXISTS, "the folder %s is that of %s/%s", s.folder, a->kind->plural, s.name);
}

/* What was named by a text is called so. */
static void show_title(struct admission *a)
{
    const char *folder = json_mut_str_at(a->object, "spec.folder");

    if (folder && json_mut_str_at(a->object, "spec.displayTitle") == NULL)
        json_mut_set_str(a->doc, json_mut_make_obj(a->doc, a->object, "spec"), "displayTitle", folder);
}

static int admit_create(struct admission *a, struct store_txn *t, struct error **err)
{
    if (check_folder(a, t, err) < 0)
        return -1;
    show_title(a);
    if (yyjson_mut_get_uint(json_mut_at(a->object, "spec.version")))
        return error_add_cause(err, "spec.version", "FieldValueInvalid", "there is no content yet");
    content_begin_status(a);
    return check_sandbox(a, t, err);
}

/* The runner says what came of a source; all else is the server's. */
static int admit_status(struct admission *a, struct error **err)
{
    yyjson_val *was = json_at(a->old, "status");
    yyjson_mut_val *source = json_mut_at(a->object, "status.source");

    if (a->who->role != ROLE_RUNNER)
        return error_set(err, REASON_FORBIDDEN, "the status of %s is written by the server alone", a->kind->plural);
    yyjson_mut_val *status = was ? yyjson_val_mut_copy(a->doc, was) : yyjson_mut_obj(a->doc);
    if (source)
        json_mut_set(a->doc, status, "source", yyjson_mut_val_mut_copy(a->doc, source));
    json_mut_set(a->doc, a->object, "status", status);
    return 0;
}

static int admit_content(struct admission *a, struct store_txn *t, struct error **err)
{
    switch (a->operation) {
    case OPERATION_CREATE:
        return admit_create(a, t, err);
    case OPERATION_UPDATE:
        return check_sandbox(a, t, err) < 0 ? -1 : admit_version(a, t, err);
    case OPERATION_UPDATE_STATUS:
        return admit_status(a, err);
    case OPERATION_DELETE:
        return 0;
    }
    return 0;
}

static int content_removed(struct admission *a, struct store_txn *t, struct error **err)
{
    const struct hook_context *context = a->context;

    publisher_remove_in_txn(context->content->publisher, t, library_of(a), content_folder_mut(a->object),
                            json_mut_str_at(a->object, "metadata.uid"));
    return 0;
}

/* --- Uploads --- */

static bool is_form(const struct operation *op)
{
    return op->media_type && strncasecmp(op->media_type, "multipart/form-data", 19) == 0 &&
           (op->verb == VERB_CREATE || op->verb == VERB_UPDATE);
}

/* What is fetched is not sent as well: the next fetch would replace it. And the runner may bring what nobody wants any
 * more, since fetching takes long. */
static int check_source(const struct object *object, const struct identity *who, struct error **err)
{
    _cleanup_json_ yyjson_doc *doc = object ? json_parse(object->json, NULL) : NULL;
    const char *type = json_str_at(yyjson_doc_get_root(doc), "spec.source.type");
    bool is_sent = type == NULL || streq(type, "Upload"), is_runner = who->role == ROLE_RUNNER;

    if (is_sent != is_runner)
        return 0;
    if (is_runner)
        return error_set(err, REASON_CONFLICT, "its content is uploaded by now (spec.source.type)");
    return error_set(err, REASON_CONFLICT, "its content is fetched (spec.source.type is %s): set that to Upload first",
                     type);
}

static void upload(struct request *r, struct object *object, void *context_arg)
{
    const struct hook_context *context = context_arg;
    const struct operation *op = request_operation(r);
    struct error *err = NULL;

    if (check_source(object, &op->who, &err) < 0)
        return request_fail(r, err);
    if (is_form(op) && (object == NULL) == (op->name == NULL))
        return form_upload(r, object, context->content);
    if (op->name && op->verb != VERB_UPDATE)
        return tus_upload(r, object, context->content);
    (void)(error_set(&err, REASON_UNSUPPORTED_MEDIA_TYPE, "a form (multipart/form-data) is expected") < 0);
    request_fail(r, err);
}

static const struct subresource_handler subresources[] = {{"upload", FLOW_REQUESTS, upload}, {0}};

const struct kind_hooks dataset_hooks = {
    .admit = admit_content, .removed = content_removed, .subresources = subresources};
