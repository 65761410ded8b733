/* create, update and patch, of the main resource and of /status. */
#include "base/clock.h"
#include "server/api/own.h"
#include "server/api/refuse.h"
#include "server/api/verbs.h"
#include "server/api/write.h"
#include "server/model/merge_patch.h"
#include "server/model/metadata.h"
#include "server/model/same.h"
#include "server/model/schema.h"

/* Kubernetes conventions: what is sent to the main resource says nothing about status, and the other way round. */
static bool is_for_status(const struct write *w)
{
    return w->a.operation == OPERATION_UPDATE_STATUS;
}

/* Form and fields of a whole object: what was sent, or what a patch makes of the present one. */
static int decode(struct write *w, struct error **err)
{
    if (metadata_decode(w->a.kind, w->a.doc, w->a.object, err) < 0)
        return -1;
    schema_prune(w->a.kind, w->a.object, field_is_unknown, &w->findings);
    return field_findings_end(&w->findings, err);
}

/* --- Create --- */

static int already_exists(struct write *w, const struct object *present, struct error **err)
{
    const struct kind *k = w->a.kind;
    _cleanup_json_ yyjson_doc *doc = json_parse(present->json, NULL);
    bool deleting = json_str_at(yyjson_doc_get_root(doc), "metadata.deletionTimestamp") != NULL;

    return error_set(err, REASON_ALREADY_EXISTS, "%s%s.%s \"%s\" already exists",
                     deleting ? "object is being deleted: " : "", k->plural, k->group, w->name);
}

static int apply_create(struct write *w, struct store_txn *t, struct error **err)
{
    const struct object *present = txn_get(t, w->a.kind->plural, str_from(w->name));

    if (present)
        return already_exists(w, present, err);
    if (txn_damaged(t, w->a.kind->plural, str_from(w->name)))
        return error_set(err, REASON_ALREADY_EXISTS,
                         "%s.%s \"%s\" exists and is damaged: an administrator has to delete it first",
                         w->a.kind->plural, w->a.kind->group, w->name);
    if (write_admit(w, t, err) < 0 || write_check_owner(w, err) < 0)
        return -1;
    return write_put(w, t, 201, err);
}

/* Everything about a new object that needs no look at the store. */
static int build_new(struct write *w, yyjson_val *sent, struct error **err)
{
    const struct kind *k = w->a.kind;

    write_take(w, sent);
    if (decode(w, err) < 0 || own_check(w->r, NULL, w->a.object, err) < 0 || write_take_secrets(w, err) < 0)
        return -1;
    schema_restore_output_only(k, NULL, w->a.doc, w->a.object);
    if (k->has_status)
        json_mut_remove(w->a.object, "status");
    schema_default(k, w->a.doc, w->a.object);
    metadata_generate_name(w->a.doc, w->a.object);
    w->name = metadata_name(w->a.object);
    int rc = metadata_validate(k, w->a.object, err);
    if (schema_validate(k, w->a.object, err) < 0 || rc < 0)
        return -1;
    metadata_stamp_create(w->a.doc, w->a.object, clock_realtime_us());
    w->apply = apply_create;
    return 0;
}

static int create(struct write *w, struct error **err)
{
    yyjson_doc *sent;

    if (operation_dry_run(w->r->op, &w->a.dry_run, err) < 0 ||
        field_findings_begin(w->r, w->a.arena, &w->findings, err) < 0 ||
        body_read(w->r, BODY_OBJECT, false, &sent, err) < 0)
        return -1;
    int rc = build_new(w, yyjson_doc_get_root(sent), err);
    w->r->name = w->name; /* for errors */
    return rc < 0 ? rc : write_check_owner(w, err);
}

void verb_create(struct request *r)
{
    struct error *err = NULL;
    struct write *w = write_new(r, OPERATION_CREATE);

    if (create(w, &err) < 0)
        return request_fail(r, err);
    write_start(w);
}

int write_create(struct write *w, struct store_txn *t, yyjson_val *object, struct error **err)
{
    const struct kind_hooks *hooks = w->resource->hooks;

    if (field_findings_begin(NULL, w->a.arena, &w->findings, err) < 0 || build_new(w, object, err) < 0)
        return -1;
    if (hooks && hooks->prepare && hooks->prepare(&w->a, w->name, err) < 0)
        return -1;
    return w->apply(w, t, err);
}

/* --- Update and patch --- */

/* Optimistic locking; a revision that is not sent locks nothing. */
static int check_revision(struct write *w, const struct object *present, struct error **err)
{
    const struct kind *k = w->a.kind;
    uint64_t sent;

    if (metadata_sent_revision(w->a.object, &sent, err) < 0)
        return -1;
    if (sent == 0 || sent == present->revision)
        return 0;
    return error_set(
        err, REASON_CONFLICT,
        "Operation cannot be fulfilled on %s.%s \"%s\": the object has been modified; please apply your changes to "
        "the latest version and try again",
        k->plural, k->group, w->name);
}

static int check_name(struct write *w, struct error **err)
{
    const char *name = metadata_name(w->a.object);

    if (name && !streq(name, w->name))
        return error_set(err, REASON_BAD_REQUEST, "the name of the object (%s) does not match the name on the URL (%s)",
                         name, w->name);
    if (name == NULL)
        json_mut_set_str(w->a.doc, json_mut_make_obj(w->a.doc, w->a.object, "metadata"), "name", w->name);
    return 0;
}

static void keep_status(struct write *w)
{
    yyjson_val *status = yyjson_obj_get(w->a.old, "status");

    json_mut_remove(w->a.object, "status");
    if (status)
        json_mut_set(w->a.doc, w->a.object, "status", yyjson_val_mut_copy(w->a.doc, status));
}

static int build_main(struct write *w, struct error **err)
{
    const struct kind *k = w->a.kind;

    if (k->has_status)
        keep_status(w);
    schema_restore_output_only(k, w->a.old, w->a.doc, w->a.object);
    int rc = schema_check_immutable(k, w->a.old, w->a.doc, w->a.object, err);
    schema_default(k, w->a.doc, w->a.object);
    if (schema_validate(k, w->a.object, err) < 0)
        rc = -1;
    if (metadata_validate_update(k, w->a.old, w->a.object, err) < 0 || rc < 0 ||
        own_check(w->r, w->a.old, w->a.object, err) < 0)
        return -1;
    metadata_stamp_update(k, w->a.doc, w->a.object, w->a.old);
    return write_check_owner(w, err);
}

static int build_status(struct write *w, struct error **err)
{
    metadata_stamp_status(w->a.doc, w->a.object, w->a.old);
    schema_default(w->a.kind, w->a.doc, w->a.object);
    return schema_validate(w->a.kind, w->a.object, err);
}

static int apply_patch(struct write *w, struct error **err)
{
    w->a.object = merge_patch(w->a.doc, w->a.old, w->patch);
    yyjson_mut_doc_set_root(w->a.doc, w->a.object);
    return decode(w, err);
}

/* A write that changes nothing keeps the revision and tells nobody (kubectl apply of the same file, again and again).
 */
static bool is_no_change(struct write *w, const struct object *present)
{
    metadata_set_revision(w->a.doc, w->a.object, present->revision);
    return value_same(w->a.object, yyjson_val_mut_copy(w->a.doc, w->a.old));
}

static int store_change(struct write *w, struct store_txn *t, const struct object *present, struct error **err)
{
    if (metadata_is_deleting(w->a.object) && !metadata_has_finalizers(w->a.object))
        return write_remove(w, t, err);
    if (is_no_change(w, present)) {
        write_answer_bytes(w, 200, present->json);
        return 0;
    }
    return write_put(w, t, 200, err);
}

static int apply_change(struct write *w, struct store_txn *t, struct error **err)
{
    struct object *present;

    if (write_load_old(w, t, &present, err) < 0 || (w->patch && apply_patch(w, err) < 0) || check_name(w, err) < 0 ||
        check_revision(w, present, err) < 0)
        return -1;
    if ((is_for_status(w) ? build_status(w, err) : build_main(w, err)) < 0 || write_admit(w, t, err) < 0)
        return -1;
    /* Again: a hook may have changed the specification. */
    if (!is_for_status(w))
        metadata_stamp_update(w->a.kind, w->a.doc, w->a.object, w->a.old);
    return store_change(w, t, present, err);
}

/* Before a password is hashed for it: there is such an object, and it is the caller's to change. The transaction asks
 * again. */
static int check_target(struct write *w, struct error **err)
{
    struct request *r = w->r;
    _cleanup_object_ struct object *o = store_get(w->api->options.store, w->a.kind->plural, str_from(w->name));

    if (o == NULL)
        return error_absent(err, r);
    return r->verdict == VERDICT_OWN && !owned_by(w->a.kind, o->json, &r->op->who) ? error_forbidden(err, r) : 0;
}

static void free_doc(void *doc)
{
    yyjson_doc_free(doc);
}

static int read_sent(struct write *w, struct error **err)
{
    bool is_patch = w->r->op->verb == VERB_PATCH;
    yyjson_doc *sent;

    if (body_read(w->r, is_patch ? BODY_MERGE_PATCH : BODY_OBJECT, false, &sent, err) < 0)
        return -1;
    write_take(w, yyjson_doc_get_root(sent));
    if (!is_patch && (decode(w, err) < 0 || check_name(w, err) < 0))
        return -1;
    if (write_take_secrets(w, err) < 0)
        return -1;
    if (is_patch) {
        /* Without the secrets: what is merged goes into the object. */
        yyjson_doc *patch = yyjson_mut_doc_imut_copy(w->a.doc, NULL);
        if (patch == NULL)
            abort();
        arena_defer(w->a.arena, free_doc, patch);
        w->patch = yyjson_doc_get_root(patch);
    }
    return 0;
}

static int change(struct write *w, struct error **err)
{
    w->apply = apply_change;
    if (operation_dry_run(w->r->op, &w->a.dry_run, err) < 0 ||
        field_findings_begin(w->r, w->a.arena, &w->findings, err) < 0 || check_target(w, err) < 0)
        return -1;
    return read_sent(w, err);
}

void verb_update(struct request *r)
{
    struct error *err = NULL;
    struct write *w = write_new(r, r->op->subresource ? OPERATION_UPDATE_STATUS : OPERATION_UPDATE);

    if (change(w, &err) < 0)
        return request_fail(r, err);
    write_start(w);
}

void verb_patch(struct request *r)
{
    verb_update(r);
}
