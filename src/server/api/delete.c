/* delete and deletecollection. */
#include <stdlib.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "server/api/admission.h"
#include "server/api/attempt.h"
#include "server/api/body.h"
#include "server/api/filter.h"
#include "server/api/submit.h"
#include "server/api/verbs.h"
#include "server/model/metadata.h"

struct deletion {
    struct write w;
    const char *uid, *revision; /* preconditions; NULL: none */
    struct filter filter;       /* of a collection */
};

static const struct deletion *deletion_of(const struct attempt *t)
{
    return container_of(t->w, const struct deletion, w);
}

/* --- DeleteOptions --- */

static int check_policy(const char *policy, struct error **err)
{
    /* Nothing here has dependents in Kubernetes' sense: the policies are accepted and make no difference. */
    if (policy == NULL || streq(policy, "Background") || streq(policy, "Foreground") || streq(policy, "Orphan"))
        return 0;
    return error_set(
        err, REASON_BAD_REQUEST,
        "propagationPolicy: Unsupported value: \"%s\": supported values: \"Background\", \"Foreground\", \"Orphan\"",
        policy);
}

static int read_dry_run(struct deletion *d, yyjson_val *list, struct error **err)
{
    size_t i, n;
    yyjson_val *one;

    yyjson_arr_foreach (list, i, n, one) {
        if (!streq(yyjson_get_str(one), "All"))
            return error_set(err, REASON_BAD_REQUEST, "dryRun: Unsupported value: supported values: \"All\"");
        d->w.a.dry_run = true;
    }
    return 0;
}

static bool is_string_or_absent(yyjson_val *v)
{
    return v == NULL || yyjson_is_null(v) || yyjson_is_str(v);
}

static int read_body(struct deletion *d, yyjson_val *options, struct error **err)
{
    yyjson_val *kind = yyjson_obj_get(options, "kind"), *policy = yyjson_obj_get(options, "propagationPolicy");
    yyjson_val *before = yyjson_obj_get(options, "preconditions"),
               *grace = yyjson_obj_get(options, "gracePeriodSeconds");
    yyjson_val *dry_run = yyjson_obj_get(options, "dryRun");
    yyjson_val *uid = yyjson_obj_get(before, "uid"), *revision = yyjson_obj_get(before, "resourceVersion");

    if (kind && !yyjson_equals_str(kind, "DeleteOptions"))
        return error_set(err, REASON_BAD_REQUEST, "the body of a delete is of kind DeleteOptions");
    if (!is_string_or_absent(policy) || !is_string_or_absent(uid) || !is_string_or_absent(revision) ||
        (grace && !yyjson_is_null(grace) && !yyjson_is_int(grace)) ||
        (dry_run && !yyjson_is_null(dry_run) && !yyjson_is_arr(dry_run)) ||
        (before && !yyjson_is_null(before) && !yyjson_is_obj(before)))
        return error_set(err, REASON_BAD_REQUEST,
                         "the body of the request has a DeleteOptions field of the wrong type");
    d->uid = yyjson_get_str(uid);
    d->revision = yyjson_get_str(revision);
    if (check_policy(yyjson_get_str(policy), err) < 0)
        return -1;
    return read_dry_run(d, dry_run, err);
}

static int read_options(struct deletion *d, struct error **err)
{
    struct request *r = d->w.r;
    yyjson_doc *sent;
    unsigned long long ignored;
    const char *grace = operation_parameter(r->op, "gracePeriodSeconds");

    if (operation_dry_run(r->op, &d->w.a.dry_run, err) < 0 ||
        check_policy(operation_parameter(r->op, "propagationPolicy"), err) < 0 ||
        body_read_object(r, true, &sent, err) < 0)
        return -1;
    if (grace && grace[0] && str_to_u64(str_from(grace), INT64_MAX, &ignored) < 0)
        return error_set(err, REASON_BAD_REQUEST, "gracePeriodSeconds: Invalid value: \"%s\"", grace);
    return sent ? read_body(d, yyjson_doc_get_root(sent), err) : 0;
}

/* --- One object --- */

static int check_preconditions(const struct deletion *d, const struct object *o, struct error **err)
{
    const struct kind *k = d->w.a.kind;
    char present[24];

    snprintf(present, sizeof(present), "%llu", (unsigned long long)o->revision);
    if (d->uid && !streq(d->uid, o->uid))
        return error_set(
            err, REASON_CONFLICT,
            "Operation cannot be fulfilled on %s \"%s\": Precondition failed: UID in precondition: %s, UID in "
            "object meta: %s",
            k->full_name, o->name, d->uid, o->uid);
    if (d->revision && !streq(d->revision, present))
        return error_set(
            err, REASON_CONFLICT,
            "Operation cannot be fulfilled on %s \"%s\": Precondition failed: ResourceVersion in precondition: "
            "%s, ResourceVersion in object meta: %s",
            k->full_name, o->name, d->revision, present);
    return 0;
}

/* As the Kubernetes server answers for custom resources: a Success that names what is gone. */
static void answer_gone(struct attempt *t)
{
    const struct kind *k = t->a.kind;
    struct buffer b = BUFFER_MAX(4096);

    buffer_puts(
        &b, "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{},\"status\":\"Success\",\"details\":{\"name\":");
    buffer_json_string(&b, str_from(t->name));
    buffer_printf(&b, ",\"group\":\"%s\",\"kind\":\"%s\",\"uid\":", k->group, k->plural);
    buffer_json_string(&b, str_from(json_mut_str_at(t->a.object, "metadata.uid")));
    buffer_puts(&b, "}}\n");
    attempt_answer_bytes(t, 200, buffer_str(&b));
    t->is_status = true;
    buffer_free(&b);
}

/* What cannot be read goes at once, finalizers or not: whoever watches is told, and has its name and uid. */
static int remove_damaged(struct attempt *t, struct store_txn *txn, const char *uid, struct error **err)
{
    const struct deletion *d = deletion_of(t);
    const struct kind *k = t->a.kind;

    if (d->uid && !streq(d->uid, uid))
        return error_set(err, REASON_CONFLICT, "Precondition failed: UID in precondition: %s, UID in object meta: %s",
                         d->uid, uid);
    t->a.doc = json_mut_new(t->a.arena);
    t->a.object = yyjson_mut_obj(t->a.doc);
    yyjson_mut_doc_set_root(t->a.doc, t->a.object);
    json_mut_set_str(t->a.doc, t->a.object, "apiVersion", k->api_version);
    json_mut_set_str(t->a.doc, t->a.object, "kind", k->kind);
    yyjson_mut_val *metadata = json_mut_make_obj(t->a.doc, t->a.object, "metadata");
    json_mut_set_str(t->a.doc, metadata, "name", t->name);
    json_mut_set_str(t->a.doc, metadata, "uid", uid);
    t->gone = true;
    return attempt_remove(t, txn, err);
}

static const char *damaged_uid(const struct attempt *t, struct store_txn *txn)
{
    return write_only_own(t->w) ? NULL : txn_damaged(txn, t->a.kind->plural, str_from(t->name));
}

static int remove_or_mark(struct attempt *t, struct store_txn *txn, struct error **err)
{
    const char *damaged = damaged_uid(t, txn);
    struct object *present;

    t->a.operation = OPERATION_DELETE;
    if (damaged)
        return remove_damaged(t, txn, damaged, err);
    if (attempt_load_old(t, txn, &present, err) < 0 || check_preconditions(deletion_of(t), present, err) < 0)
        return -1;
    admission_take(&t->a, t->a.old, &t->findings);
    if (metadata_is_deleting(t->a.object)) {
        attempt_answer_bytes(t, 200, present->json);
        return 0;
    }
    if (attempt_admit(t, txn, err) < 0)
        return -1;
    if (!metadata_has_finalizers(t->a.object)) {
        t->gone = true;
        return attempt_remove(t, txn, err);
    }
    metadata_stamp_deletion(t->a.doc, t->a.object, clock_realtime_us());
    return attempt_put(t, txn, 200, err);
}

static int apply_delete(struct attempt *t, struct store_txn *txn, struct error **err)
{
    if (remove_or_mark(t, txn, err) < 0)
        return -1;
    if (t->gone)
        answer_gone(t);
    return 0;
}

/* --- All that match --- */

struct names {
    const struct filter *filter;
    struct arena *arena;
    const char **name;
    size_t n, capacity;
};

static bool collect_name(void *arg, struct object *o)
{
    struct names *names = arg;

    if (!filter_matches(names->filter, o))
        return true;
    if (names->n == names->capacity) {
        names->capacity = names->capacity ? 2 * names->capacity : 64;
        names->name = xreallocarray(names->name, names->capacity, sizeof(*names->name));
    }
    names->name[names->n++] = arena_strdup(names->arena, o->name);
    return true;
}

/* One transaction: all go, or none and the error of the first that may not. */
static int apply_delete_collection(struct attempt *t, struct store_txn *txn, struct error **err)
{
    const struct kind *k = t->a.kind;
    struct names names = {.filter = &deletion_of(t)->filter, .arena = t->a.arena};
    struct buffer b = BUFFER_MAX((size_t)1 << 30);
    int rc = 0;

    txn_list(txn, k->plural, collect_name, &names);
    buffer_printf(&b, "{\"kind\":\"%s\",\"apiVersion\":\"%s\",\"metadata\":{\"resourceVersion\":\"%llu\"},\"items\":[",
                  k->list_kind, k->api_version, (unsigned long long)txn_next_revision(txn) - 1);
    for (size_t i = 0; i < names.n && rc == 0; i++) {
        t->name = names.name[i];
        rc = remove_or_mark(t, txn, err);
        if (i)
            buffer_puts(&b, ",");
        if (rc == 0)
            buffer_add(&b, (struct str){t->json, t->json_len});
    }
    buffer_puts(&b, "]}\n");
    free(names.name);
    if (rc == 0)
        attempt_answer_bytes(t, 200, buffer_str(&b));
    t->is_status = true; /* no single object: shown as it is */
    buffer_free(&b);
    return rc;
}

static struct deletion *deletion_new(struct request *r)
{
    struct deletion *d = arena_alloc(r->arena, sizeof(*d));

    write_init(&d->w, r, OPERATION_DELETE);
    return d;
}

void verb_delete(struct request *r)
{
    struct error *err = NULL;
    struct deletion *d = deletion_new(r);

    d->w.apply = apply_delete;
    if (read_options(d, &err) < 0)
        return write_fail(&d->w, err);
    write_start(&d->w);
}

void verb_deletecollection(struct request *r)
{
    struct error *err = NULL;
    struct deletion *d = deletion_new(r);

    d->w.apply = apply_delete_collection;
    if (read_options(d, &err) < 0 || filter_read(r, &d->filter, &err) < 0)
        return write_fail(&d->w, err);
    write_start(&d->w);
}
