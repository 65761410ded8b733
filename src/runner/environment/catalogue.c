#include "runner/environment/catalogue.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/map.h"
#include "base/thread.h"
#include "kinds/names.h"
#include "runner/environment/limits.h"
#include "runner/environment/named.h"
#include "runner/environment/queue.h"
#include "runner/environment/sandbox_status.h"

#define WRITE_PAUSE_MS 1000
#define STALE_US 5000000 /* so long the copy may be behind what was written, before that is taken for lost */

/* What is remembered of a sandbox; under the lock. */
struct known {
    char *uid, *secret_set_at;
    int64_t generation;
    bool anew;        /* it says something else since it was looked at */
    uint64_t written; /* resourceVersion of the status that was written last */
    int64_t wrote_us; /* monotonic; 0: never */
};

struct catalogue {
    struct catalogue_options o;
    pthread_mutex_t lock;
    struct map *known;    /* by name */
    struct map *recorded; /* «ID REFERENCE» that are in the file already; the thread's own */
    struct queue *queue;
    pthread_t thread;
};

static void known_free(void *p)
{
    struct known *k = p;

    if (k == NULL)
        return;
    free(k->uid);
    free(k->secret_set_at);
    free(k);
}

/* --- What it is told --- */

/* A status alone is nothing new: most of these we wrote ourselves. */
static bool note_changed(struct catalogue *c, const char *name, yyjson_val *object)
{
    const char *uid = json_str_at(object, "metadata.uid");
    const char *secret = json_str_at(object, "status.pullSecretSetAt");
    int64_t generation = json_int_at(object, "metadata.generation", 0);

    LOCK_SCOPE(&c->lock);
    struct known *k = map_get(c->known, str_from(name));
    if (object == NULL) {
        known_free(map_remove(c->known, str_from(name)));
        return k != NULL;
    }
    if (k && same_text(k->uid, uid) && k->generation == generation && same_text(k->secret_set_at, secret))
        return false;
    if (k == NULL) {
        k = xcalloc(1, sizeof(*k));
        map_set(c->known, str_from(name), k);
    }
    free(k->uid);
    free(k->secret_set_at);
    k->uid = xstrdup_or_null(uid);
    k->secret_set_at = xstrdup_or_null(secret);
    k->generation = generation;
    k->anew = true;
    return true;
}

void catalogue_sandbox_changed(struct catalogue *c, const char *name)
{
    _cleanup_cached_ struct cached *cached = informer_get(c->o.sandboxes, name);

    if (!note_changed(c, name, cached ? cached->object : NULL))
        return;
    queue_add(c->queue, name);
    c->o.renewed(c->o.arg);
}

/* Calls for each sandbox, and for each image that it names. */
static void each_image(struct catalogue *c,
                       void (*call)(struct catalogue *c, const struct sandbox *s, const char *reference, void *arg),
                       void *arg)
{
    struct sandbox_image list[SANDBOX_IMAGES_MAX];
    struct cached **all;
    struct sandbox s;
    size_t n = informer_all(c->o.sandboxes, &all);

    for (size_t i = 0; i < n; i++) {
        sandbox_read(all[i]->object, &s);
        size_t images = sandbox_images(&s, list);
        for (size_t k = 0; k < images; k++)
            call(c, &s, list[k].reference, arg);
        cached_unref(all[i]);
    }
    free(all);
}

static void queue_where_named(struct catalogue *c, const struct sandbox *s, const char *reference, void *arg)
{
    if (streq(reference, arg))
        queue_add(c->queue, s->name);
}

void catalogue_image_changed(struct catalogue *c, const char *reference, bool soon)
{
    each_image(c, queue_where_named, (void *)reference);
    if (!soon)
        c->o.renewed(c->o.arg);
}

static void queue_any(struct catalogue *c, const struct sandbox *s, const char *reference, void *arg)
{
    queue_add(c->queue, s->name);
}

void catalogue_look_at_all(struct catalogue *c)
{
    each_image(c, queue_any, NULL);
}

/* --- What is wanted of the images of one sandbox --- */

/* Of all sandboxes that name that image. */
struct joining {
    struct image_wish *wish;
    struct arena *arena;
};

static void join_wish(struct catalogue *c, const struct sandbox *s, const char *reference, void *arg)
{
    struct joining *j = arg;
    struct image_wish *w = j->wish;

    if (!streq(reference, w->reference))
        return;
    if (s->pull_secret && !w->sandbox)
        w->sandbox = arena_strdup(j->arena, s->name);
    /* Who wants it here gets it, whoever else does without. */
    if (s->pull_policy == PULL_ALWAYS || w->policy == PULL_NEVER)
        w->policy = s->pull_policy == PULL_NEVER ? w->policy : s->pull_policy;
}

static void keep_named(struct catalogue *c, const struct sandbox *s, const char *reference, void *arg)
{
    map_set(arg, str_from(reference), c);
}

static void forget_others(struct catalogue *c)
{
    struct map *named = map_new();

    if (informer_synced(c->o.sandboxes)) {
        each_image(c, keep_named, named);
        images_keep(c->o.images, named);
    }
    map_free(named, NULL);
}

static bool take_anew(struct catalogue *c, const char *name)
{
    LOCK_SCOPE(&c->lock);
    struct known *k = map_get(c->known, str_from(name));
    bool anew = k && k->anew;

    if (k)
        k->anew = false;
    return anew;
}

/* What a sandbox has named once is ours to prune. */
static void record(struct catalogue *c, const char *id, const char *reference)
{
    _cleanup_arena_ struct arena *a = arena_new();
    _cleanup_error_ struct error *err = NULL;
    struct str key = str_from(arena_printf(a, "%s %s", id, reference));

    if (map_get(c->recorded, key))
        return;
    if (named_add(named_file(a, c->o.config->data), id, reference, &err) < 0)
        log_warning("image %s: %s; it will not be pruned", reference, err->message);
    map_set(c->recorded, key, c);
}

/* Returns in how many seconds it is to be looked at again. */
static unsigned look_at_images(struct catalogue *c, const struct sandbox *s, struct sandbox_report *r, bool anew)
{
    struct sandbox_image list[SANDBOX_IMAGES_MAX];
    _cleanup_arena_ struct arena *a = arena_new();
    unsigned again = limits.check_seconds;

    r->len = sandbox_images(s, list);
    for (size_t i = 0; i < r->len; i++) {
        struct image_wish wish = {list[i].reference, PULL_NEVER, s->pull_secret ? s->name : NULL, anew};
        each_image(c, join_wish, &(struct joining){&wish, a});
        unsigned one = images_look(c->o.images, &wish, &r->images[i].state);
        r->images[i].named = list[i];
        if (r->images[i].state.phase == IMAGE_READY)
            record(c, r->images[i].state.image.id, list[i].reference);
        again = one < again ? one : again;
    }
    return again;
}

void catalogue_credentials(struct catalogue *c, const char *sandbox, char **username, char **password)
{
    _cleanup_free_ char *path = xasprintf(PLURAL_SANDBOXES "/%s/pullsecret", sandbox);
    _cleanup_error_ struct error *err = NULL;
    _cleanup_json_ yyjson_doc *doc = NULL;

    if (client_call(c->o.client, &(struct client_request){"GET", path, NULL, NULL}, &doc, &err) < 0) {
        log_warning("the pull secret of sandbox %s: %s", sandbox, err->message);
        return;
    }
    *username = xstrdup_or_null(json_str_at(yyjson_doc_get_root(doc), "username"));
    *password = xstrdup_or_null(json_str_at(yyjson_doc_get_root(doc), "password"));
}

/* --- Its status --- */

static bool is_stale(const struct known *k, yyjson_val *object, int64_t now)
{
    return object_version(object) < k->written && now - k->wrote_us < STALE_US;
}

/* In how many milliseconds it may be written; 0: now. Not known any more: never. */
static int write_pause(struct catalogue *c, const char *name, yyjson_val *object)
{
    int64_t now = clock_monotonic_us();
    LOCK_SCOPE(&c->lock);
    const struct known *k = map_get(c->known, str_from(name));

    if (k == NULL)
        return -1;
    if (is_stale(k, object, now))
        return 200;
    int64_t left = k->wrote_us ? WRITE_PAUSE_MS - (now - k->wrote_us) / 1000 : 0;
    return left > 0 ? (int)left : 0;
}

static void note_written(struct catalogue *c, const char *name, yyjson_val *object)
{
    LOCK_SCOPE(&c->lock);
    struct known *k = map_get(c->known, str_from(name));

    if (k == NULL)
        return;
    k->written = object_version(object);
    k->wrote_us = clock_monotonic_us();
}

static void write_status(struct catalogue *c, const struct sandbox_report *r, yyjson_val *object)
{
    const char *name = json_str_at(object, "metadata.name");
    struct object_ref ref = {PLURAL_SANDBOXES, name, json_str_at(object, "metadata.uid")};
    _cleanup_json_ yyjson_doc *answer = NULL;
    _cleanup_error_ struct error *err = NULL;

    if (!sandbox_report_differs(r, object))
        return;
    int pause = write_pause(c, name, object);
    if (pause > 0)
        queue_add_after(c->queue, name, (unsigned)pause);
    if (pause != 0)
        return;
    if (client_patch_status(c->o.client, &ref, object, sandbox_report_fill, (void *)r, &answer, &err) == 0) {
        note_written(c, name, yyjson_doc_get_root(answer));
        return;
    }
    if (err->reason == REASON_NOT_FOUND || stop_said(client_stop_fd(c->o.client)))
        return;
    if (err->reason != REASON_SERVICE_UNAVAILABLE)
        log_warning("status of sandbox %s: %s", name, err->message);
    queue_add_after(c->queue, name, WRITE_PAUSE_MS);
}

/* --- The thread --- */

static void work_on(struct catalogue *c, const char *name)
{
    _cleanup_cached_ struct cached *cached = informer_get(c->o.sandboxes, name);
    struct sandbox_report *r = xcalloc(1, sizeof(*r));
    struct sandbox s;

    bool anew = take_anew(c, name);
    if (anew || cached == NULL)
        forget_others(c);
    if (cached) {
        sandbox_read(cached->object, &s);
        unsigned again = look_at_images(c, &s, r, anew);
        write_status(c, r, cached->object);
        queue_add_after(c->queue, name, (again ? again : 1) * 1000);
    }
    sandbox_report_clear(r);
    free(r);
}

static void *work_on_queue(void *arg)
{
    struct catalogue *c = arg;
    const char *name;

    while ((name = queue_take(c->queue))) {
        work_on(c, name);
        queue_done(c->queue, name);
    }
    return NULL;
}

/* --- Life --- */

struct catalogue *catalogue_new(const struct catalogue_options *o)
{
    struct catalogue *c = xcalloc(1, sizeof(*c));

    c->o = *o;
    c->known = map_new();
    c->recorded = map_new();
    c->queue = queue_new();
    pthread_mutex_init(&c->lock, NULL);
    return c;
}

void catalogue_start(struct catalogue *c)
{
    c->thread = thread_start("catalogue", work_on_queue, c);
}

void catalogue_stop(struct catalogue *c)
{
    queue_shut(c->queue);
    pthread_join(c->thread, NULL);
}

void catalogue_free(struct catalogue *c)
{
    queue_free(c->queue);
    map_free(c->known, known_free);
    map_free(c->recorded, NULL);
    pthread_mutex_destroy(&c->lock);
    free(c);
}
