/* update and patch, of the main resource and of /status. */
#include "server/api/admission.h"
#include "server/api/attempt.h"
#include "server/api/body.h"
#include "server/api/own.h"
#include "server/api/refuse.h"
#include "server/api/submit.h"
#include "server/api/verbs.h"
#include "server/model/metadata.h"
#include "server/model/same.h"
#include "server/model/schema.h"
#include "server/model/text_name.h"

/* Kubernetes conventions: what is sent to the main resource says nothing about status, and the other way round. */
static bool is_for_status(const struct admission *a)
{
    return a->operation == OPERATION_UPDATE_STATUS;
}

/* Optimistic locking; a revision that is not sent locks nothing. */
static int check_revision(const struct attempt *t, const struct object *present, struct error **err)
{
    const struct kind *k = t->a.kind;
    uint64_t sent;

    if (metadata_sent_revision(t->a.object, &sent, err) < 0)
        return -1;
    if (sent == 0 || sent == present->revision)
        return 0;
    return error_set(
        err, REASON_CONFLICT,
        "Operation cannot be fulfilled on %s \"%s\": the object has been modified; please apply your changes to "
        "the latest version and try again",
        k->full_name, t->name);
}

static int check_name(struct admission *a, const char *expected, struct error **err)
{
    text_name_replace(a->kind, a->doc, a->object);
    const char *name = metadata_name(a->object);

    if (name && !streq(name, expected))
        return error_set(err, REASON_BAD_REQUEST, "the name of the object (%s) does not match the name on the URL (%s)",
                         name, expected);
    if (name == NULL)
        json_mut_set_str(a->doc, json_mut_make_obj(a->doc, a->object, "metadata"), "name", expected);
    return 0;
}

static void keep_status(struct admission *a)
{
    yyjson_val *status = yyjson_obj_get(a->old, "status");

    json_mut_remove(a->object, "status");
    if (status)
        json_mut_set(a->doc, a->object, "status", yyjson_val_mut_copy(a->doc, status));
}

static int build_main(struct attempt *t, struct error **err)
{
    struct admission *a = &t->a;
    const struct kind *k = a->kind;

    if (k->has_status)
        keep_status(a);
    schema_restore_output_only(k, a->old, a->doc, a->object);
    int rc = schema_check_immutable(k, a->old, a->doc, a->object, err);
    schema_default(k, a->doc, a->object);
    if (schema_validate(k, a->object, err) < 0)
        rc = -1;
    if (metadata_validate_update(k, a->old, a->object, err) < 0 || rc < 0 ||
        own_check(t->w->r, a->old, a->object, err) < 0)
        return -1;
    metadata_stamp_update(k, a->doc, a->object, a->old);
    return write_check_owner(t->w, a->object, err);
}

static int build_status(struct attempt *t, struct error **err)
{
    metadata_stamp_status(t->a.doc, t->a.object, t->a.old);
    schema_default(t->a.kind, t->a.doc, t->a.object);
    return schema_validate(t->a.kind, t->a.object, err);
}

/* What a patch makes of a->old, as if it had been sent whole: its secrets are taken from the result, for how a patch
 * says them is its type's own affair. */
static int patch_object(const struct write *w, struct admission *a, struct field_findings *f, struct error **err)
{
    a->object = w->patch_type->apply(a->doc, a->old, w->patch, err);
    if (a->object == NULL)
        return -1;
    yyjson_mut_doc_set_root(a->doc, a->object);
    return admission_decode(a, f, err) < 0 ? -1 : admission_take_secrets(a, err);
}

/* What is hashed is what the patch made of the object as it was then. */
static int apply_patch(struct attempt *t, struct error **err)
{
    if (patch_object(t->w, &t->a, &t->findings, err) < 0)
        return -1;
    if (admission_same_secrets(&t->a, &t->w->a))
        return 0;
    return error_set(err, REASON_CONFLICT, "the object was changed by somebody else at the same moment: try again");
}

/* A write that changes nothing keeps the revision and tells nobody (kubectl apply of the same file, again and again).
 */
static bool is_no_change(struct attempt *t, const struct object *present)
{
    metadata_set_revision(t->a.doc, t->a.object, present->revision);
    return value_same(t->a.object, yyjson_val_mut_copy(t->a.doc, t->a.old));
}

static int store_change(struct attempt *t, struct store_txn *txn, const struct object *present, struct error **err)
{
    if (metadata_is_deleting(t->a.object) && !metadata_has_finalizers(t->a.object))
        return attempt_remove(t, txn, err);
    if (is_no_change(t, present)) {
        attempt_answer_bytes(t, 200, present->json);
        return 0;
    }
    return attempt_put(t, txn, 200, err);
}

static int apply_change(struct attempt *t, struct store_txn *txn, struct error **err)
{
    bool for_status = is_for_status(&t->a);
    struct object *present;

    if (attempt_load_old(t, txn, &present, err) < 0 || (t->w->patch_type && apply_patch(t, err) < 0) ||
        check_name(&t->a, t->name, err) < 0 || check_revision(t, present, err) < 0)
        return -1;
    if ((for_status ? build_status(t, err) : build_main(t, err)) < 0 || attempt_admit(t, txn, err) < 0)
        return -1;
    /* Again: a hook may have changed the specification. */
    if (!for_status)
        metadata_stamp_update(t->a.kind, t->a.doc, t->a.object, t->a.old);
    return store_change(t, txn, present, err);
}

/* Before a password is hashed for it: there is such an object, and it is the caller's to change. The transaction asks
 * again. */
static int find_target(const struct write *w, struct object **out, struct error **err)
{
    const struct request *r = w->r;
    _cleanup_object_ struct object *o = store_get(w->api->options.store, w->a.kind->plural, str_from(w->name));

    if (o == NULL)
        return error_absent(err, r);
    if (write_only_own(w) && !owned_by(w->a.kind, o->json, &r->op->who))
        return error_forbidden(err, r);
    *out = steal_ptr(o);
    return 0;
}

static int read_update(struct write *w, struct error **err)
{
    yyjson_doc *sent;

    if (body_read_object(w->r, false, &sent, err) < 0)
        return -1;
    admission_take(&w->a, yyjson_doc_get_root(sent), &w->findings);
    if (admission_decode(&w->a, &w->findings, err) < 0 || check_name(&w->a, w->name, err) < 0)
        return -1;
    return admission_take_secrets(&w->a, err);
}

/* The secrets that come of the patch, for what has to be done with them before the transaction. */
static int find_patched_secrets(struct write *w, const struct object *target, struct error **err)
{
    struct admission a = w->a;
    struct field_findings unsaid; /* the transaction says them */
    yyjson_doc *old = json_parse(target->json, err);

    if (old == NULL)
        return -1;
    json_keep(a.arena, old);
    a.old = yyjson_doc_get_root(old);
    a.doc = json_mut_new(a.arena);
    field_findings_ignore(&unsaid);
    if (patch_object(w, &a, &unsaid, err) < 0)
        return -1;
    w->a.secrets = a.secrets;
    return 0;
}

static int read_patch(struct write *w, const struct object *target, struct error **err)
{
    yyjson_doc *sent;

    if (body_read_patch(w->r, &w->patch_type, &sent, err) < 0)
        return -1;
    w->patch = yyjson_doc_get_root(sent);
    schema_find_duplicates(w->patch, field_is_duplicate, &w->findings);
    return *w->a.kind->write_only ? find_patched_secrets(w, target, err) : 0;
}

static int read_change(struct write *w, struct error **err)
{
    const struct operation *op = w->r->op;
    _cleanup_object_ struct object *target = NULL;

    w->apply = apply_change;
    if (operation_dry_run(op, &w->a.dry_run, err) < 0 || field_findings_begin(op, &w->a, &w->findings, err) < 0 ||
        find_target(w, &target, err) < 0)
        return -1;
    return op->verb == VERB_PATCH ? read_patch(w, target, err) : read_update(w, err);
}

void verb_update(struct request *r)
{
    struct error *err = NULL;
    struct write *w = write_new(r, r->op->subresource ? OPERATION_UPDATE_STATUS : OPERATION_UPDATE);

    if (read_change(w, &err) < 0)
        return write_fail(w, err);
    write_start(w);
}

void verb_patch(struct request *r)
{
    verb_update(r);
}
