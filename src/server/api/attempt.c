#include "server/api/attempt.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "server/api/refuse.h"
#include "server/api/size.h"
#include "server/model/metadata.h"

struct attempt *attempt_new(const struct write *w)
{
    struct arena *arena = arena_new();
    struct attempt *t = arena_alloc(arena, sizeof(*t));

    *t = (struct attempt){.w = w, .a = w->a, .name = w->name};
    t->a.arena = arena;
    t->a.warnings = NULL;
    t->a.doc = json_mut_new(arena);
    if (w->a.object) {
        t->a.object = yyjson_mut_val_mut_copy(t->a.doc, w->a.object);
        yyjson_mut_doc_set_root(t->a.doc, t->a.object);
    }
    field_findings_copy(&t->findings, &t->a, &w->findings);
    return t;
}

void attempt_free(struct attempt *t)
{
    if (t == NULL)
        return;
    free(t->json);
    arena_free(t->a.arena);
}

int attempt_load_old(struct attempt *t, struct store_txn *txn, struct object **present, struct error **err)
{
    const struct write *w = t->w;
    struct object *o = txn_get(txn, t->a.kind->plural, str_from(t->name));

    if (o == NULL)
        return w->r ? error_absent(err, w->r) : error_not_found(err, t->a.kind, t->name);
    yyjson_doc *doc = json_parse(o->json, err);
    if (doc == NULL)
        return -1;
    json_keep(t->a.arena, doc);
    t->a.old = yyjson_doc_get_root(doc);
    if (write_only_own(w) && !owned_by_val(t->a.kind, t->a.old, t->a.who))
        return error_forbidden(err, w->r);
    *present = o;
    return 0;
}

int attempt_admit(struct attempt *t, struct store_txn *txn, struct error **err)
{
    const struct kind_hooks *hooks = t->w->resource->hooks;

    return hooks && hooks->admit ? hooks->admit(&t->a, txn, err) : 0;
}

void attempt_answer_bytes(struct attempt *t, unsigned code, struct str json)
{
    free(t->json);
    t->json = xstrndup(json.p, json.n);
    t->json_len = json.n;
    t->code = code;
}

static void answer_object(struct attempt *t, unsigned code)
{
    free(t->json);
    t->json = json_mut_write(t->a.object, &t->json_len);
    t->code = code;
}

static size_t object_max(const struct attempt *t)
{
    return t->w->r ? request_object_max(t->w->r) : t->a.kind->max_bytes;
}

int attempt_put(struct attempt *t, struct store_txn *txn, unsigned code, struct error **err)
{
    if (!t->a.dry_run)
        metadata_set_revision(t->a.doc, t->a.object, txn_next_revision(txn));
    answer_object(t, code);
    /* A merge patch adds to what is there: what was sent says nothing of how large it becomes. */
    if (size_check(&t->a, t->json_len, object_max(t), err) < 0)
        return -1;
    if (json_deeper_than((struct str){t->json, t->json_len}, JSON_OBJECT_MAX_DEPTH))
        return error_set(err, REASON_BAD_REQUEST, "the object would be nested more than %d levels deep",
                         JSON_OBJECT_MAX_DEPTH);
    if (!t->a.dry_run)
        txn_put(txn, t->a.kind->plural, t->name, json_mut_str_at(t->a.object, "metadata.uid"),
                (struct str){t->json, t->json_len});
    return 0;
}

int attempt_remove(struct attempt *t, struct store_txn *txn, struct error **err)
{
    const struct kind_hooks *hooks = t->w->resource->hooks;

    t->a.operation = OPERATION_DELETE;
    if (hooks && hooks->removed && hooks->removed(&t->a, txn, err) < 0)
        return -1;
    if (!t->a.dry_run)
        metadata_set_revision(t->a.doc, t->a.object, txn_next_revision(txn));
    answer_object(t, 200);
    if (!t->a.dry_run)
        txn_delete(txn, t->a.kind->plural, t->name, (struct str){t->json, t->json_len});
    return 0;
}
