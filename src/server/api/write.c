#include "server/api/write.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/log.h"
#include "base/thread.h"
#include "base/workers.h"
#include "server/api/refuse.h"
#include "server/api/represent.h"
#include "server/api/size.h"
#include "server/model/metadata.h"
#include "server/model/schema.h"

static void free_mut_doc(void *doc)
{
    yyjson_mut_doc_free(doc);
}

static void free_json(void *write)
{
    free(((struct write *)write)->json);
}

static size_t write_only_len(const struct kind *k)
{
    size_t n = 0;

    while (k->write_only && k->write_only[n])
        n++;
    return n;
}

void write_init(struct write *w, struct request *r, enum write_operation operation)
{
    *w = (struct write){.api = r->api, .r = r, .resource = r->resource, .name = r->name};
    w->a.operation = operation;
    w->a.kind = r->op->kind;
    w->a.who = &r->op->who;
    w->a.arena = r->arena;
    w->a.secrets = arena_alloc(r->arena, (write_only_len(w->a.kind) + 1) * sizeof(*w->a.secrets));
    w->a.context = r->api->options.context;
    arena_defer(r->arena, free_json, w);
}

struct write *write_new(struct request *r, enum write_operation operation)
{
    struct write *w = arena_alloc(r->arena, sizeof(*w));

    write_init(w, r, operation);
    return w;
}

yyjson_mut_doc *write_new_doc(struct write *w)
{
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);

    if (doc == NULL)
        abort();
    arena_defer(w->a.arena, free_mut_doc, doc);
    return doc;
}

void write_take(struct write *w, yyjson_val *sent)
{
    w->a.doc = write_new_doc(w);
    size_t duplicates = schema_find_duplicates(sent, field_is_duplicate, &w->findings);
    w->a.object = yyjson_val_mut_copy(w->a.doc, sent);
    yyjson_mut_doc_set_root(w->a.doc, w->a.object);
    if (duplicates)
        schema_drop_duplicates(w->a.object);
}

int write_take_secrets(struct write *w, struct error **err)
{
    size_t n = write_only_len(w->a.kind);
    const char **secrets = arena_alloc(w->a.arena, (n + 1) * sizeof(*secrets));

    w->a.secrets = secrets;
    if (schema_take_write_only(w->a.kind, w->a.doc, w->a.object, secrets, w->a.arena, err) < 0)
        return -1;
    /* Of what is sent to /status only the status counts. */
    if (w->a.operation == OPERATION_UPDATE_STATUS)
        memset(secrets, 0, n * sizeof(*secrets));
    return 0;
}

/* --- Worker and writer --- */

static void reply_shown(struct write *w)
{
    struct request *r = w->r;
    struct table table;
    struct error *err = NULL;
    struct buffer b = BUFFER_MAX(REPRESENT_MAX);
    _cleanup_json_ yyjson_doc *doc = NULL;

    if (represent_begin(r, &table, &err) < 0 || !(doc = json_parse((struct str){w->json, w->json_len}, &err)))
        return request_fail(r, err);
    represent_object(r->op->representation, &table, &b, yyjson_doc_get_root(doc), (struct str){w->json, w->json_len},
                     true);
    size_t n = b.n;
    request_reply_json(r, w->code, buffer_steal(&b), n);
}

static void finished(void *arg, struct error *err)
{
    struct write *w = arg;
    struct api *a = w->api;

    if (err)
        request_fail(w->r, err);
    else if (w->r->op->representation != REPRESENT_OBJECT && !w->is_status)
        reply_shown(w);
    else
        request_reply_json(w->r, w->code, steal_ptr(w->json), w->json_len);
    pending_end(&a->pending);
}

/* Ending and saying how it is frees the disk, or loses nothing else. */
static bool is_essential(const struct write *w)
{
    return w->a.operation == OPERATION_DELETE || w->a.operation == OPERATION_UPDATE_STATUS;
}

static int transact(struct store_txn *t, void *arg, struct error **err)
{
    struct write *w = arg;

    if (is_essential(w))
        txn_essential(t);

    if (w->apply(w, t, err) < 0)
        return -1;
    if (w->a.dry_run)
        txn_abandon(t);
    return 0;
}

static bool has_secrets(const struct write *w)
{
    size_t n = write_only_len(w->a.kind);

    for (size_t i = 0; i < n; i++)
        if (w->a.secrets[i])
            return true;
    return false;
}

static int prepare(struct write *w, struct error **err)
{
    return w->resource->hooks->prepare(&w->a, w->name, err);
}

static void run_prepare(void *arg)
{
    struct write *w = arg;
    struct error *err = NULL;

    if (prepare(w, &err) < 0)
        return finished(w, err);
    store_submit(w->api->options.store, transact, w, finished);
}

static bool needs_prepare(const struct write *w)
{
    return w->resource->hooks && w->resource->hooks->prepare && has_secrets(w);
}

void write_start(struct write *w)
{
    struct error *err = NULL;

    pending_begin(&w->api->pending);
    if (!needs_prepare(w)) {
        store_submit(w->api->options.store, transact, w, finished);
        return;
    }
    const struct work work = {
        .fn = run_prepare, .arg = w, .owner = w->a.who->name, .reserved = request_is_reserved(w->r)};
    if (workers_submit(w->api->options.workers, &work) == 0)
        return;
    error_set(&err, REASON_TOO_MANY_REQUESTS, "too many requests that need a password hashed: try again later");
    err->retry_after = 1;
    finished(w, err);
}

/* --- Inside the transaction --- */

int write_forbidden(struct write *w, struct error **err)
{
    return error_forbidden(err, w->r);
}

static bool only_own(const struct write *w)
{
    return w->r && w->r->verdict == VERDICT_OWN;
}

int write_check_owner(struct write *w, struct error **err)
{
    const struct kind *k = w->a.kind;

    if (!only_own(w) || (k->owner && streq(json_mut_str_at(w->a.object, k->owner), w->a.who->name)))
        return 0;
    return write_forbidden(w, err);
}

static void free_doc(void *doc)
{
    yyjson_doc_free(doc);
}

int write_load_old(struct write *w, struct store_txn *t, struct object **present, struct error **err)
{
    struct object *o = txn_get(t, w->a.kind->plural, str_from(w->name));

    if (o == NULL)
        return w->r ? error_absent(err, w->r) : error_not_found(err, w->a.kind, w->name);
    yyjson_doc *doc = json_parse(o->json, err);
    if (doc == NULL)
        return -1;
    arena_defer(w->a.arena, free_doc, doc);
    w->a.old = yyjson_doc_get_root(doc);
    if (only_own(w) && !owned_by_val(w->a.kind, w->a.old, w->a.who))
        return write_forbidden(w, err);
    *present = o;
    return 0;
}

int write_admit(struct write *w, struct store_txn *t, struct error **err)
{
    const struct kind_hooks *hooks = w->resource->hooks;

    return hooks && hooks->admit ? hooks->admit(&w->a, t, err) : 0;
}

void write_answer_bytes(struct write *w, unsigned code, struct str json)
{
    free(w->json);
    w->json = xstrndup(json.p, json.n);
    w->json_len = json.n;
    w->code = code;
}

static void answer_object(struct write *w, unsigned code)
{
    free(w->json);
    w->json = json_mut_write(w->a.object, &w->json_len);
    w->code = code;
}

static const char *uid_of(const struct write *w)
{
    return json_mut_str_at(w->a.object, "metadata.uid");
}

int write_put(struct write *w, struct store_txn *t, unsigned code, struct error **err)
{
    if (!w->a.dry_run)
        metadata_set_revision(w->a.doc, w->a.object, txn_next_revision(t));
    answer_object(w, code);
    /* A merge patch adds to what is there: what was sent says nothing of how large it becomes. */
    if (size_check(&w->a, w->json_len, w->r ? request_object_max(w->r) : w->a.kind->max_bytes, err) < 0)
        return -1;
    if (json_deeper_than((struct str){w->json, w->json_len}, JSON_OBJECT_MAX_DEPTH))
        return error_set(err, REASON_BAD_REQUEST, "the object would be nested more than %d levels deep",
                         JSON_OBJECT_MAX_DEPTH);
    if (!w->a.dry_run)
        txn_put(t, w->a.kind->plural, w->name, uid_of(w), (struct str){w->json, w->json_len});
    return 0;
}

int write_remove(struct write *w, struct store_txn *t, struct error **err)
{
    const struct kind_hooks *hooks = w->resource->hooks;

    w->a.operation = OPERATION_DELETE;
    if (hooks && hooks->removed && hooks->removed(&w->a, t, err) < 0)
        return -1;
    if (!w->a.dry_run)
        metadata_set_revision(w->a.doc, w->a.object, txn_next_revision(t));
    answer_object(w, 200);
    if (!w->a.dry_run)
        txn_delete(t, w->a.kind->plural, w->name, (struct str){w->json, w->json_len});
    return 0;
}

void admission_warn(struct admission *a, const char *fmt, ...)
{
    struct write *w = container_of(a, struct write, a);
    char text[512];
    va_list args;

    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    if (w->r)
        add_warning(w->r, text);
    else
        log_warning("%s %s: %s", a->kind->singular, w->name ? w->name : "", text);
}
