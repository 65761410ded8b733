/* delete and deletecollection. */
#include <stdlib.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "server/api/filter.h"
#include "server/api/verbs.h"
#include "server/api/write.h"
#include "server/model/metadata.h"

struct deletion {
    struct write w;
    const char *uid, *revision; /* preconditions; NULL: none */
    struct filter filter;       /* of a collection */
    bool gone;                  /* no finalizer held it */
};

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
        body_read(r, BODY_OBJECT, true, &sent, err) < 0)
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
            "Operation cannot be fulfilled on %s.%s \"%s\": Precondition failed: UID in precondition: %s, UID in "
            "object meta: %s",
            k->plural, k->group, o->name, d->uid, o->uid);
    if (d->revision && !streq(d->revision, present))
        return error_set(
            err, REASON_CONFLICT,
            "Operation cannot be fulfilled on %s.%s \"%s\": Precondition failed: ResourceVersion in precondition: "
            "%s, ResourceVersion in object meta: %s",
            k->plural, k->group, o->name, d->revision, present);
    return 0;
}

/* As the Kubernetes server answers for custom resources: a Success that names what is gone. */
static void answer_gone(struct write *w)
{
    const struct kind *k = w->a.kind;
    struct buffer b = BUFFER_MAX(4096);

    buffer_puts(
        &b, "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{},\"status\":\"Success\",\"details\":{\"name\":");
    buffer_json_string(&b, str_from(w->name));
    buffer_printf(&b, ",\"group\":\"%s\",\"kind\":\"%s\",\"uid\":", k->group, k->plural);
    buffer_json_string(&b, str_from(json_mut_str_at(w->a.object, "metadata.uid")));
    buffer_puts(&b, "}}\n");
    write_answer_bytes(w, 200, buffer_str(&b));
    w->is_status = true;
    buffer_free(&b);
}

/* What cannot be read goes at once, finalizers or not: whoever watches is told, and has its name and uid. */
static int remove_damaged(struct deletion *d, struct store_txn *t, const char *uid, struct error **err)
{
    struct write *w = &d->w;
    const struct kind *k = w->a.kind;

    if (d->uid && !streq(d->uid, uid))
        return error_set(err, REASON_CONFLICT, "Precondition failed: UID in precondition: %s, UID in object meta: %s",
                         d->uid, uid);
    w->a.doc = write_new_doc(w);
    w->a.object = yyjson_mut_obj(w->a.doc);
    yyjson_mut_doc_set_root(w->a.doc, w->a.object);
    json_mut_set_str(w->a.doc, w->a.object, "apiVersion", k->api_version);
    json_mut_set_str(w->a.doc, w->a.object, "kind", k->kind);
    yyjson_mut_val *metadata = json_mut_make_obj(w->a.doc, w->a.object, "metadata");
    json_mut_set_str(w->a.doc, metadata, "name", w->name);
    json_mut_set_str(w->a.doc, metadata, "uid", uid);
    d->gone = true;
    return write_remove(w, t, err);
}

static int remove_or_mark(struct deletion *d, struct store_txn *t, struct error **err)
{
    struct write *w = &d->w;
    struct object *present;

    w->a.operation = OPERATION_DELETE;
    const char *damaged = w->r->verdict == VERDICT_ALLOW ? txn_damaged(t, w->a.kind->plural, str_from(w->name)) : NULL;
    if (damaged)
        return remove_damaged(d, t, damaged, err);
    if (write_load_old(w, t, &present, err) < 0 || check_preconditions(d, present, err) < 0)
        return -1;
    write_take(w, w->a.old);
    if (metadata_is_deleting(w->a.object)) {
        write_answer_bytes(w, 200, present->json);
        return 0;
    }
    if (write_admit(w, t, err) < 0)
        return -1;
    if (!metadata_has_finalizers(w->a.object)) {
        d->gone = true;
        return write_remove(w, t, err);
    }
    metadata_stamp_deletion(w->a.doc, w->a.object, clock_realtime_us());
    return write_put(w, t, 200, err);
}

static int apply_delete(struct write *w, struct store_txn *t, struct error **err)
{
    struct deletion *d = container_of(w, struct deletion, w);

    if (remove_or_mark(d, t, err) < 0)
        return -1;
    if (d->gone)
        answer_gone(w);
    return 0;
}

/* --- All that match --- */

struct names {
    struct deletion *d;
    const char **name;
    size_t n, capacity;
};

static bool collect_name(void *arg, struct object *o)
{
    struct names *names = arg;

    if (!filter_matches(&names->d->filter, o))
        return true;
    if (names->n == names->capacity) {
        names->capacity = names->capacity ? 2 * names->capacity : 64;
        names->name = xreallocarray(names->name, names->capacity, sizeof(*names->name));
    }
    names->name[names->n++] = arena_strdup(names->d->w.a.arena, o->name);
    return true;
}

/* One transaction: all go, or none and the error of the first that may not. */
static int apply_delete_collection(struct write *w, struct store_txn *t, struct error **err)
{
    struct deletion *d = container_of(w, struct deletion, w);
    struct names names = {.d = d};
    struct buffer b = BUFFER_MAX((size_t)1 << 30);
    int rc = 0;

    txn_list(t, w->a.kind->plural, collect_name, &names);
    buffer_printf(&b, "{\"kind\":\"%s\",\"apiVersion\":\"%s\",\"metadata\":{\"resourceVersion\":\"%llu\"},\"items\":[",
                  w->a.kind->list_kind, w->a.kind->api_version, (unsigned long long)txn_next_revision(t) - 1);
    for (size_t i = 0; i < names.n && rc == 0; i++) {
        w->name = names.name[i];
        rc = remove_or_mark(d, t, err);
        if (i)
            buffer_puts(&b, ",");
        if (rc == 0)
            buffer_add(&b, (struct str){w->json, w->json_len});
    }
    buffer_puts(&b, "]}\n");
    free(names.name);
    if (rc == 0)
        write_answer_bytes(w, 200, buffer_str(&b));
    w->is_status = true; /* no single object: shown as it is */
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
        return request_fail(r, err);
    write_start(&d->w);
}

void verb_deletecollection(struct request *r)
{
    struct error *err = NULL;
    struct deletion *d = deletion_new(r);

    d->w.apply = apply_delete_collection;
    if (read_options(d, &err) < 0 || filter_read(r, &d->filter, &err) < 0)
        return request_fail(r, err);
    write_start(&d->w);
}
