#include "server/api/submit.h"

#include <assert.h>

#include "base/log.h"
#include "base/workers.h"
#include "server/api/admission.h"
#include "server/api/attempt.h"
#include "server/api/represent.h"
#include "server/api/warning.h"

/* --- The answer --- */

static void reply_shown(struct request *r, struct attempt *t)
{
    struct table table;
    struct error *err = NULL;
    struct buffer b = BUFFER_MAX(REPRESENT_MAX);
    struct str json = {t->json, t->json_len};
    _cleanup_json_ yyjson_doc *doc = NULL;

    if (represent_begin(r, &table, &err) < 0 || !(doc = json_parse(json, &err)))
        return request_fail(r, err);
    represent_object(r->op->representation, &table, &b, yyjson_doc_get_root(doc), json, true);
    size_t n = b.n;
    request_reply_json(r, t->code, buffer_steal(&b), n);
}

static void say_warnings(const struct write *w)
{
    request_add_warnings(w->r, &w->a);
    if (w->attempt)
        request_add_warnings(w->r, &w->attempt->a);
}

void write_fail(struct write *w, struct error *err)
{
    say_warnings(w);
    request_fail(w->r, err);
}

/* Takes the attempt: its memory goes back where it came from, which the writer's thread does faster than another. */
static void reply_attempt(struct request *r, struct attempt *t)
{
    assert(t);
    size_t n = t->json_len;
    unsigned code = t->code;

    if (r->op->representation != REPRESENT_OBJECT && !t->is_status) {
        reply_shown(r, t);
        attempt_free(t);
        return;
    }
    char *json = steal_ptr(t->json);
    attempt_free(t);
    request_reply_json(r, code, json, n);
}

static void finished(void *arg, struct error *err)
{
    struct write *w = arg;
    struct api *a = w->api;

    if (err) {
        write_fail(w, err);
    } else {
        say_warnings(w);
        reply_attempt(w->r, steal_ptr(w->attempt));
    }
    pending_end(&a->pending);
}

/* --- Worker and writer --- */

/* Ending and saying how it is frees the disk, or loses nothing else. */
static bool is_essential(const struct write *w)
{
    return w->a.operation == OPERATION_DELETE || w->a.operation == OPERATION_UPDATE_STATUS;
}

static void free_attempt(void *write)
{
    attempt_free(((struct write *)write)->attempt);
}

/* May be run again, after what it staged was thrown away. */
static int transact(struct store_txn *txn, void *arg, struct error **err)
{
    struct write *w = arg;

    attempt_free(w->attempt);
    w->attempt = attempt_new(w);
    if (is_essential(w))
        txn_essential(txn);
    if (w->apply(w->attempt, txn, err) < 0)
        return -1;
    if (w->a.dry_run)
        txn_abandon(txn);
    return 0;
}

static void run_prepare(void *arg)
{
    struct write *w = arg;
    struct error *err = NULL;

    if (w->resource->hooks->prepare(&w->a, w->name, &err) < 0)
        return finished(w, err);
    store_submit(w->api->options.store, transact, w, finished);
}

static bool needs_prepare(const struct write *w)
{
    return w->resource->hooks && w->resource->hooks->prepare && admission_has_secrets(&w->a);
}

void write_start(struct write *w)
{
    struct error *err = NULL;

    assert(w->r && w->apply && !w->attempt);
    arena_defer(w->a.arena, free_attempt, w);
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

static void log_warnings(const struct write *w, const struct admission *a)
{
    for (const struct warning *warning = a->warnings; warning; warning = warning->next)
        log_warning("%s %s: %s", a->kind->singular, w->name ? w->name : "", warning->text);
}

int write_run_in_txn(struct write *w, struct store_txn *txn, struct error **err)
{
    const struct kind_hooks *hooks = w->resource->hooks;

    if (hooks && hooks->prepare && hooks->prepare(&w->a, w->name, err) < 0)
        return -1;
    arena_defer(w->a.arena, free_attempt, w);
    w->attempt = attempt_new(w);
    int rc = w->apply(w->attempt, txn, err);
    log_warnings(w, &w->a);
    log_warnings(w, &w->attempt->a);
    return rc;
}
