#include "server/hooks/publisher.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/log.h"
#include "base/thread.h"
#include "server/content/trash.h"
#include "server/content/unpack.h"
#include "server/hooks/objects.h"

#define SCOPE_GONE "content-gone" /* private records: «datasets/FOLDER» of contents that are to be removed */
#define ENTRIES_MAX 1000000
#define DEPTH_MAX 64
#define RATIO_MAX 1000
#define SAY_EVERY_US INT64_C(2000000)
#define SWEEP_EVERY_US (INT64_C(600) * 1000000)
/* Nobody goes on with an upload after that. */
#define ABANDONED_US (INT64_C(48) * 3600 * 1000000)

struct job {
    struct job *next;
    void (*run)(struct publisher *p, struct job *j);
    struct library *library;
    char *name; /* of the object; of an upload its id; of what is to be removed its folder */
    char *uid;
    void (*done)(void *arg, const struct error *err);
    void *done_arg;
};

struct publisher {
    struct store *store;
    struct library *libraries;
    size_t libraries_len;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct job *first, **last; /* (lock) */
    bool stopping;             /* (lock) */
    bool started;
};

/* --- The queue --- */

static void job_free(struct job *j)
{
    free(j->name);
    free(j->uid);
    free(j);
}

static struct job *job_new(struct library *l, const char *name, void (*run)(struct publisher *p, struct job *j))
{
    struct job *j = xcalloc(1, sizeof(*j));

    j->library = l;
    j->name = xstrdup(name);
    j->run = run;
    return j;
}

static void tell(struct job *j, const struct error *err)
{
    if (j->done)
        j->done(j->done_arg, err);
    j->done = NULL;
}

static void drop_job(struct job *j)
{
    _cleanup_error_ struct error *err = NULL;

    (void)(error_set(&err, REASON_SERVICE_UNAVAILABLE, "the server is stopping") < 0);
    tell(j, err);
    job_free(j);
}

static void enqueue(struct publisher *p, struct job *j)
{
    pthread_mutex_lock(&p->lock);
    bool taken = !p->stopping;
    if (taken) {
        *p->last = j;
        p->last = &j->next;
        pthread_cond_broadcast(&p->changed);
    }
    pthread_mutex_unlock(&p->lock);
    if (!taken)
        drop_job(j);
}

static bool is_stopping(struct publisher *p)
{
    LOCK_SCOPE(&p->lock);

    return p->stopping;
}

/* --- What there is --- */

static void look_at_shelf(const struct library *l, const char *folder, struct content_shelved *out)
{
    out->n = exchange_versions(&l->shelf, folder, out->kept, ARRAY_SIZE(out->kept), &out->present);
}

static yyjson_doc *read_object(struct publisher *p, const struct library *l, const char *name)
{
    _cleanup_object_ struct object *o = store_get(p->store, l->plural, str_from(name));

    return o ? json_parse(o->json, NULL) : NULL;
}

static uint64_t next_version(const struct content_shelved *shelved, yyjson_val *object)
{
    yyjson_val *newest = yyjson_arr_get_last(json_at(object, "status.versions"));
    uint64_t last = (uint64_t)json_int_at(newest, "version", 0);

    for (size_t i = 0; i < shelved->n; i++)
        if (shelved->kept[i] > last)
            last = shelved->kept[i];
    return (shelved->present > last ? shelved->present : last) + 1;
}

/* --- Publishing --- */

struct unpacking {
    struct publisher *publisher;
    const struct content_object *object;
    int64_t said_us;
    bool gone; /* the object */
};

static int say_progress(void *arg, uint64_t bytes, uint64_t files)
{
    struct unpacking *u = arg;
    int64_t now = clock_monotonic_us();
    _cleanup_error_ struct error *err = NULL;

    if (is_stopping(u->publisher))
        return -1;
    if (now - u->said_us < SAY_EVERY_US)
        return 0;
    u->said_us = now;
    _cleanup_free_ char *text = xasprintf("%llu files, %.1f MiB", (unsigned long long)files, (double)bytes / 1048576);
    u->gone = content_say(u->publisher->store, u->object, CONTENT_UNPACKING, text, NULL, &err) < 0 &&
              err->reason == REASON_NOT_FOUND;
    return u->gone ? -1 : 0;
}

static int unpack_upload(struct publisher *p, struct upload *u, const struct content_object *o,
                         struct unpack_result *result, struct error **err)
{
    struct unpacking unpacking = {.publisher = p, .object = o, .said_us = clock_monotonic_us()};
    const struct unpack_limits limits = {
        .bytes = library_unpacked_max(u->library), .entries = ENTRIES_MAX, .depth = DEPTH_MAX, .ratio = RATIO_MAX};
    _cleanup_close_ int folder = exchange_stage(&u->library->shelf, u->id, err);

    if (folder < 0)
        return -1;
    return unpack(u->body, u->file_name ? u->file_name : u->name, folder, &limits, say_progress, &unpacking, result,
                  err);
}

static int exchange_upload(struct publisher *p, struct upload *u, const struct content_object *o, yyjson_val *object,
                           struct content_shelved *shelved, struct error **err)
{
    struct unpack_result result;
    const char *folder = content_folder(object);
    unsigned keep = (unsigned)json_int_at(object, "spec.versions", 3);

    if (unpack_upload(p, u, o, &result, err) < 0)
        return -1;
    const struct upload_outcome outcome = {next_version(shelved, object), result.bytes, result.files};
    if (upload_publishes(u, &outcome, err) < 0 ||
        exchange_publish(&u->library->shelf, u->id, folder, outcome.version, keep, err) < 0)
        return -1;
    look_at_shelf(u->library, folder, shelved);
    return 0;
}

static int publish_upload(struct publisher *p, struct upload *u, const struct content_object *o, struct error **err)
{
    struct content_shelved shelved;

    if (content_say(p->store, o, CONTENT_UNPACKING, NULL, NULL, err) < 0)
        return -1;
    _cleanup_json_ yyjson_doc *doc = read_object(p, u->library, u->name);
    yyjson_val *object = yyjson_doc_get_root(doc);
    if (doc == NULL)
        return error_set(err, REASON_NOT_FOUND, "%s/%s was deleted meanwhile", o->plural, o->name);
    look_at_shelf(u->library, content_folder(object), &shelved);
    /* Killed between the exchange and its mention, it is there already. */
    bool there = u->outcome.version && shelved.present == u->outcome.version;
    if (!there && exchange_upload(p, u, o, object, &shelved, err) < 0)
        return -1;
    return content_say_published(p->store, o, u, &shelved, err);
}

static void say_failed(struct publisher *p, const struct upload *u, const struct content_object *o,
                       const struct error *why)
{
    _cleanup_error_ struct error *err = NULL;

    log_warning("%s/%s: %s", o->plural, o->name, why->message);
    if (content_say(p->store, o, CONTENT_FAILED, NULL, why->message, &err) < 0 && err->reason != REASON_NOT_FOUND)
        log_warning("%s/%s: cannot say that it failed: %s", o->plural, o->name, err->message);
    if (exchange_recover(&u->library->shelf, NULL, NULL, NULL) < 0)
        log_warning("%s/%s: what was unpacked stays until the next start", o->plural, o->name);
}

static void forget_upload(struct library *l, const char *id)
{
    _cleanup_error_ struct error *err = NULL;

    if (upload_remove(l, id, &err) < 0)
        log_warning("%s: the upload %s stays until the next start: %s", l->plural, id, err->message);
}

static void run_publish(struct publisher *p, struct job *j)
{
    _cleanup_error_ struct error *err = NULL;
    _cleanup_upload_ struct upload *u = upload_open(j->library, j->name, &err);

    if (u && !u->whole)
        (void)(error_set(&err, REASON_INTERNAL, "the upload is not whole") < 0);
    if (u == NULL || err)
        return tell(j, err);
    const struct content_object o = {j->library->plural, u->name, u->uid};
    int rc = publish_upload(p, u, &o, &err);
    /* What was ended goes on at the next start. */
    if (rc < 0 && is_stopping(p))
        return tell(j, err);
    if (rc < 0)
        say_failed(p, u, &o, err);
    forget_upload(j->library, j->name);
    tell(j, rc < 0 ? err : NULL);
}

void publisher_publish(struct publisher *p, struct library *l, const char *id,
                       void (*done)(void *arg, const struct error *err), void *arg)
{
    struct job *j = job_new(l, id, run_publish);

    j->done = done;
    j->done_arg = arg;
    enqueue(p, j);
}

/* --- Former contents --- */

static int roll_back(struct publisher *p, struct library *l, const char *name, yyjson_val *object, struct error **err)
{
    const struct content_object o = {l->plural, name, json_str_at(object, "metadata.uid")};
    const char *folder = content_folder(object);
    uint64_t wanted = content_wanted(object);
    struct content_shelved shelved;

    look_at_shelf(l, folder, &shelved);
    if (wanted == 0 || shelved.present == 0)
        return 0;
    if (wanted != shelved.present && exchange_roll_back(&l->shelf, folder, wanted, err) < 0)
        return -1;
    if (wanted == shelved.present && wanted == (uint64_t)json_int_at(object, "status.version", 0))
        return 0;
    look_at_shelf(l, folder, &shelved);
    return content_say_rolled_back(p->store, &o, &shelved, err);
}

static void run_roll_back(struct publisher *p, struct job *j)
{
    _cleanup_error_ struct error *err = NULL;
    _cleanup_json_ yyjson_doc *doc = read_object(p, j->library, j->name);
    yyjson_val *object = yyjson_doc_get_root(doc);
    const struct content_object o = {j->library->plural, j->name, json_str_at(object, "metadata.uid")};

    if (doc == NULL || roll_back(p, j->library, j->name, object, &err) == 0)
        return;
    _cleanup_free_ char *text = xasprintf("the former content could not be put back: %s", err->message);
    log_warning("%s/%s: %s", o.plural, o.name, text);
    (void)(content_say_idle(p->store, &o, text, NULL) < 0); /* it is gone, then */
}

void publisher_roll_back(struct publisher *p, struct library *l, const char *name)
{
    enqueue(p, job_new(l, name, run_roll_back));
}

/* --- Removing --- */

static int forget_gone(struct store_txn *t, void *key, struct error **err)
{
    txn_essential(t);
    txn_secret_delete(t, SCOPE_GONE, str_from(key));
    return 0;
}

static void run_remove(struct publisher *p, struct job *j)
{
    _cleanup_error_ struct error *err = NULL;
    _cleanup_free_ char *key = xasprintf("%s/%s", j->library->plural, j->name);

    if (library_open(j->library, &err) < 0 || exchange_remove(&j->library->shelf, j->name, &err) < 0 ||
        upload_remove(j->library, j->uid, &err) < 0 || store_run(p->store, forget_gone, key, &err) < 0)
        log_warning("%s: its content is removed at the next start: %s", key, err->message);
}

struct removal {
    struct publisher *publisher;
    struct job *job;
};

static void enqueue_removal(void *arg)
{
    struct removal *r = arg;

    enqueue(r->publisher, steal_ptr(r->job));
}

static void free_removal(void *arg)
{
    struct removal *r = arg;

    if (r->job)
        job_free(r->job);
    free(r);
}

static struct job *removal_job(struct library *l, const char *folder, const char *uid)
{
    struct job *j = job_new(l, folder, run_remove);

    j->uid = xstrdup(uid);
    return j;
}

void publisher_remove_in_txn(struct publisher *p, struct store_txn *t, struct library *l, const char *folder,
                             const char *uid)
{
    _cleanup_free_ char *key = xasprintf("%s/%s", l->plural, folder);
    struct removal *r = xcalloc(1, sizeof(*r));

    *r = (struct removal){p, removal_job(l, folder, uid)};
    txn_secret_put(t, SCOPE_GONE, str_from(key), str_from(uid));
    txn_after_commit(t, enqueue_removal, r, free_removal);
}

/* --- What is left from before --- */

struct recovery {
    struct publisher *publisher;
    struct library *library;
};

static bool recover_gone(void *arg, struct str key, struct str value)
{
    struct publisher *p = arg;
    struct str rest = key, plural;

    if (!str_split(&rest, '/', &plural))
        return true;
    _cleanup_free_ char *folder = xstrndup(rest.p, rest.n), *uid = xstrndup(value.p, value.n);
    for (size_t i = 0; i < p->libraries_len; i++)
        if (str_is(plural, p->libraries[i].plural))
            enqueue(p, removal_job(&p->libraries[i], folder, uid));
    return true;
}

/* The object still says Uploading. */
static void give_up(struct publisher *p, const struct upload *u, const char *message)
{
    const struct content_object o = {u->library->plural, u->name, u->uid};

    if (u->name && u->uid)
        (void)(content_say_idle(p->store, &o, message, NULL) < 0); /* it is gone, then */
    forget_upload(u->library, u->id);
}

static void recover_upload(void *arg, const char *id)
{
    const struct recovery *r = arg;
    _cleanup_upload_ struct upload *u = upload_open(r->library, id, NULL);

    if (u == NULL)
        forget_upload(r->library, id);
    else if (u->whole)
        enqueue(r->publisher, job_new(r->library, id, run_publish));
    else if (!u->resumable || clock_realtime_us() - u->touched_us > ABANDONED_US)
        give_up(r->publisher, u, "the upload was given up");
}

static void drop_abandoned(void *arg, const char *id)
{
    const struct recovery *r = arg;
    _cleanup_upload_ struct upload *u = upload_open(r->library, id, NULL);

    if (u && u->resumable && !u->whole && clock_realtime_us() - u->touched_us > ABANDONED_US)
        give_up(r->publisher, u, "the upload was given up: nothing came for two days");
}

/* Its upload is nowhere any more. What is whole says so itself when it is unpacked again. */
static void run_settle(struct publisher *p, struct job *j)
{
    _cleanup_json_ yyjson_doc *doc = read_object(p, j->library, j->name);
    yyjson_val *object = yyjson_doc_get_root(doc);
    const struct content_object o = {j->library->plural, j->name, json_str_at(object, "metadata.uid")};
    enum content_phase phase = content_phase(object);

    if (doc == NULL || (phase != CONTENT_UPLOADING && phase != CONTENT_UNPACKING))
        return;
    _cleanup_upload_ struct upload *u = upload_open(j->library, o.uid, NULL);
    if (u == NULL)
        (void)(content_say_idle(p->store, &o, "the upload was interrupted: send it again", NULL) < 0);
}

/* Another content than is asked for may be there, too. */
static bool recover_object(void *arg, struct object *o)
{
    const struct recovery *r = arg;

    enqueue(r->publisher, job_new(r->library, o->name, run_settle));
    publisher_roll_back(r->publisher, r->library, o->name);
    return true;
}

static void recover_library(struct publisher *p, struct library *l)
{
    _cleanup_error_ struct error *err = NULL;
    struct recovery r = {p, l};

    if (library_open(l, &err) < 0 || exchange_recover(&l->shelf, NULL, NULL, &err) < 0) {
        log_warning("%s: %s", l->plural, err->message);
        return;
    }
    store_list(p->store, l->plural, STR(""), recover_object, &r);
    upload_list(l, recover_upload, &r);
}

/* --- The thread --- */

static struct job *take_job(struct publisher *p)
{
    LOCK_SCOPE(&p->lock);

    if (p->first == NULL && !p->stopping)
        cond_wait_until(&p->changed, &p->lock, clock_monotonic_us() + SWEEP_EVERY_US);
    struct job *j = p->stopping ? NULL : p->first;
    if (j) {
        p->first = j->next;
        if (p->first == NULL)
            p->last = &p->first;
    }
    return j;
}

/* Whoever has something to do comes first. */
static bool is_idle(void *arg)
{
    struct publisher *p = arg;
    LOCK_SCOPE(&p->lock);

    return p->first == NULL && !p->stopping;
}

static void sweep(struct publisher *p)
{
    for (size_t i = 0; i < p->libraries_len; i++) {
        struct recovery r = {p, &p->libraries[i]};
        _cleanup_error_ struct error *err = NULL;
        if (!is_idle(p) || library_open(&p->libraries[i], NULL) < 0)
            continue;
        upload_list(r.library, drop_abandoned, &r);
        if (trash_sweep(&r.library->shelf, is_idle, p, &err) < 0)
            log_warning("%s: what is to be removed stays: %s", r.library->plural, err->message);
    }
}

static void *publish_all(void *arg)
{
    struct publisher *p = arg;

    store_secret_list(p->store, SCOPE_GONE, recover_gone, p);
    for (size_t i = 0; i < p->libraries_len; i++)
        recover_library(p, &p->libraries[i]);
    while (!is_stopping(p)) {
        if (is_idle(p))
            sweep(p);
        struct job *j = take_job(p);
        if (j == NULL)
            continue;
        j->run(p, j);
        job_free(j);
    }
    return NULL;
}

struct publisher *publisher_new(struct store *store, struct library *libraries, size_t n)
{
    struct publisher *p = xcalloc(1, sizeof(*p));

    p->store = store;
    p->libraries = libraries;
    p->libraries_len = n;
    p->last = &p->first;
    pthread_mutex_init(&p->lock, NULL);
    cond_init_monotonic(&p->changed);
    return p;
}

void publisher_start(struct publisher *p)
{
    p->started = true;
    p->thread = thread_start("publisher", publish_all, p);
}

void publisher_stop(struct publisher *p)
{
    pthread_mutex_lock(&p->lock);
    p->stopping = true;
    pthread_cond_broadcast(&p->changed);
    pthread_mutex_unlock(&p->lock);
    if (p->started)
        pthread_join(p->thread, NULL);
    for (struct job *j; (j = p->first);) {
        p->first = j->next;
        drop_job(j);
    }
}

void publisher_free(struct publisher *p)
{
    pthread_cond_destroy(&p->changed);
    pthread_mutex_destroy(&p->lock);
    free(p);
}
