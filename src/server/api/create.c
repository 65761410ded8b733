/* create: through the API, and by the server itself. */
#include "base/clock.h"
#include "server/api/admission.h"
#include "server/api/attempt.h"
#include "server/api/body.h"
#include "server/api/own.h"
#include "server/api/submit.h"
#include "server/api/verbs.h"
#include "server/model/metadata.h"
#include "server/model/schema.h"
#include "server/model/text_name.h"

static int already_exists(const struct attempt *t, const struct object *present, struct error **err)
{
    const struct kind *k = t->a.kind;
    _cleanup_json_ yyjson_doc *doc = json_parse(present->json, NULL);
    bool deleting = json_str_at(yyjson_doc_get_root(doc), "metadata.deletionTimestamp") != NULL;

    return error_set(err, REASON_ALREADY_EXISTS, "%s%s \"%s\" already exists",
                     deleting ? "object is being deleted: " : "", k->full_name, t->name);
}

static int apply_create(struct attempt *t, struct store_txn *txn, struct error **err)
{
    const struct kind *k = t->a.kind;
    const struct object *present = txn_get(txn, k->plural, str_from(t->name));

    if (present)
        return already_exists(t, present, err);
    if (txn_damaged(txn, k->plural, str_from(t->name)))
        return error_set(err, REASON_ALREADY_EXISTS,
                         "%s \"%s\" exists and is damaged: an administrator has to delete it first", k->full_name,
                         t->name);
    if (attempt_admit(t, txn, err) < 0 || write_check_owner(t->w, t->a.object, err) < 0)
        return -1;
    return attempt_put(t, txn, 201, err);
}

/* Everything about a new object that needs no look at the store. */
static int build_new(struct write *w, yyjson_val *sent, struct error **err)
{
    struct admission *a = &w->a;
    const struct kind *k = a->kind;

    admission_take(a, sent, &w->findings);
    if (admission_decode(a, &w->findings, err) < 0 || own_check(w->r, NULL, a->object, err) < 0 ||
        admission_take_secrets(a, err) < 0)
        return -1;
    schema_restore_output_only(k, NULL, a->doc, a->object);
    if (k->has_status)
        json_mut_remove(a->object, "status");
    schema_default(k, a->doc, a->object);
    text_name_replace(k, a->doc, a->object);
    metadata_generate_name(a->doc, a->object);
    w->name = metadata_name(a->object);
    int rc = metadata_validate(k, a->object, err);
    if (schema_validate(k, a->object, err) < 0 || rc < 0)
        return -1;
    metadata_stamp_create(a->doc, a->object, clock_realtime_us());
    w->apply = apply_create;
    return 0;
}

static int read_create(struct write *w, struct error **err)
{
    const struct operation *op = w->r->op;
    yyjson_doc *sent;

    if (operation_dry_run(op, &w->a.dry_run, err) < 0 || field_findings_begin(op, &w->a, &w->findings, err) < 0 ||
        body_read_object(w->r, false, &sent, err) < 0)
        return -1;
    int rc = build_new(w, yyjson_doc_get_root(sent), err);
    w->r->name = w->name; /* for errors */
    return rc < 0 ? rc : write_check_owner(w, w->a.object, err);
}

void verb_create(struct request *r)
{
    struct error *err = NULL;
    struct write *w = write_new(r, OPERATION_CREATE);

    if (read_create(w, &err) < 0)
        return write_fail(w, err);
    write_start(w);
}

int create_in_txn(struct request *r, struct store_txn *txn, yyjson_val *object, struct error **err)
{
    struct write *w = write_new(r, OPERATION_CREATE);

    w->r = NULL; /* nobody is told */
    if (field_findings_begin(NULL, &w->a, &w->findings, err) < 0 || build_new(w, object, err) < 0)
        return -1;
    return write_run_in_txn(w, txn, err);
}
