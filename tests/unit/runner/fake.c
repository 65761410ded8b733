#include "unit/runner/fake.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/thread.h"
#include "runner/engine/disk.h"
#include "runner/engine/host.h"

static struct fake *of(struct runtime *r)
{
    return (struct fake *)(void *)r;
}

static int ordered(struct fake *f, const char *op, struct error **err)
{
    for (size_t i = 0; i < ARRAY_SIZE(f->failures); i++) {
        struct fake_failure *one = &f->failures[i];
        if (!streq(one->op, op) || one->times == 0)
            continue;
        one->times--;
        return error_set(err, one->reason, "%s", one->message);
    }
    return 0;
}

struct fake_container *fake_find(struct fake *f, const char *id)
{
    for (size_t i = 0; i < ARRAY_SIZE(f->containers); i++)
        if (f->containers[i].there && streq(f->containers[i].id, id))
            return &f->containers[i];
    return NULL;
}

struct fake_container *fake_add(struct fake *f, const char *id, const char *device)
{
    for (size_t i = 0; i < ARRAY_SIZE(f->containers); i++) {
        struct fake_container *k = &f->containers[i];
        if (k->there)
            continue;
        *k = (struct fake_container){.there = true, .state = INSTANCE_RUNNING};
        snprintf(k->id, sizeof(k->id), "%s", id);
        snprintf(k->uid, sizeof(k->uid), "%s", id);
        snprintf(k->device, sizeof(k->device), "%s", device);
        snprintf(k->owner, sizeof(k->owner), "%s", device);
        return k;
    }
    abort();
}

static void hush(struct fake_container *k)
{
    if (k->listening)
        answerer_end(&k->answerer);
    k->listening = false;
}

/* --- operations --------------------------------------------------------------------------------------------------- */

static void start(struct runtime *r, const struct runtime_listener *l)
{
    of(r)->listener = *l;
    l->available(l->arg, true, NULL);
}

static int facts(struct runtime *r, struct runtime_facts *out, struct error **err)
{
    LOCK_SCOPE(&of(r)->lock);
    *out = of(r)->facts.seen;
    return ordered(of(r), "facts", err);
}

/* An environment looks for its image when it starts ("image"); the catalogue does ("look") whenever it gets to it. */
static const char *who_looks(void)
{
    char thread[16];

    pthread_getname_np(pthread_self(), thread, sizeof(thread));
    return streq(thread, "environment") ? "image" : "look";
}

static int image_find(struct runtime *r, const char *image, struct runtime_image *out, struct error **err)
{
    struct fake *f = of(r);
    const char *op = who_looks();

    LOCK_SCOPE(&f->lock);
    buffer_printf(&f->log, "%s %s\n", op, image);
    *out = (struct runtime_image){.bytes = 4096};
    snprintf(out->id, sizeof(out->id), "sha256:%s-%u", image, f->pulled);
    return ordered(f, op, err) < 0 ? -1 : f->image;
}

/* As far as the test lets it come. */
static int image_pull(struct runtime *r, const struct runtime_pull *pull,
                      int (*progress)(void *arg, const struct runtime_progress *p), void *arg, struct error **err)
{
    struct fake *f = of(r);
    struct runtime_progress now = {.layers = 2, .bytes_total = 1000};
    bool done = false, failed = false;

    while (!done && !failed) {
        {
            LOCK_SCOPE(&f->lock);
            failed = ordered(f, "pull", err) < 0;
            done = f->pull_percent >= 100;
            now.bytes = f->pull_percent * 10;
        }
        if (progress(arg, &now) < 0) {
            LOCK_SCOPE(&f->lock);
            buffer_printf(&f->log, "pull %s given up\n", pull->image);
            return error_set(err, REASON_CONFLICT, "not wanted");
        }
        if (!failed && stop_wait(f->stop_fd, 5))
            return error_set(err, REASON_SERVICE_UNAVAILABLE, "stopped");
    }
    LOCK_SCOPE(&f->lock);
    buffer_printf(&f->log, "pull %s %s %s\n", pull->image, pull->username ? pull->username : "-",
                  failed ? "failed" : "done");
    f->image |= !failed;
    f->pulled += !failed;
    return failed ? -1 : 0;
}

static const char *variable(const struct runtime_spec *s, const char *name)
{
    for (size_t i = 0; i < s->variables_len; i++)
        if (streq(s->variables[i].name, name))
            return s->variables[i].value;
    return "";
}

static char *no_room(struct runtime *r)
{
    return disk_full(of(r)->host.config);
}

static char *name_of(struct runtime *r, const char *id)
{
    return xasprintf("fake-%s", id);
}

static int prepare(struct runtime *r, struct arena *a, struct runtime_spec *spec, const char **reason,
                   struct error **err)
{
    struct prepared *p = arena_alloc(a, sizeof(*p));

    if (host_prepare(&of(r)->host, &of(r)->facts, a, spec, p, reason, err) < 0)
        return -1;
    spec->prepared = p;
    return 0;
}

static int ensure(struct runtime *r, const struct runtime_spec *s, struct instance *out, struct error **err)
{
    struct fake *f = of(r);

    LOCK_SCOPE(&f->lock);
    buffer_printf(&f->log, "ensure %s\n", s->instance);
    if (ordered(f, "ensure", err) < 0)
        return -1;
    if (*variable(s, "OPENHYDRA_SAFE_MODE"))
        buffer_printf(&f->log, "safe %s\n", s->instance);
    struct fake_container *k = fake_add(f, s->instance, s->device);
    snprintf(k->uid, sizeof(k->uid), "%s", s->device_uid);
    snprintf(k->owner, sizeof(k->owner), "%s", s->owner);
    snprintf(k->token, sizeof(k->token), "%s", variable(s, "OPENHYDRA_TOKEN"));
    snprintf(k->socket, sizeof(k->socket), "%s", s->ports[0].socket);
    k->ids = (struct id_range){s->prepared->host_id, s->prepared->host_id_size};
    k->revision = s->revision;
    snprintf(k->image, sizeof(k->image), "sha256:%s-%u", s->image, f->pulled);
    *out = (struct instance){.state = INSTANCE_RUNNING};
    instance_add_endpoint(out, s->ports[0].name, s->prepared->sockets[0]);
    f->failures[ARRAY_SIZE(f->failures) - 1] = f->after_ensure;
    if (f->mute)
        return 0;
    answerer_start(&k->answerer, s->prepared->sockets[0], f->status);
    k->listening = true;
    return 0;
}

static void fill(const struct fake_container *k, struct instance *out)
{
    *out = (struct instance){.state = k->state,
                             .id = xstrdup(k->id),
                             .device = xstrdup(k->device),
                             .device_uid = xstrdup(k->uid),
                             .owner = xstrdup(k->owner),
                             .revision = k->revision,
                             .exit_code = k->exit_code,
                             .out_of_memory = k->out_of_memory,
                             .paused = k->paused,
                             .image = *k->image ? xstrdup(k->image) : NULL,
                             .unsupervised = k->unsupervised};
}

static int inspect(struct runtime *r, const char *id, struct instance *out, struct error **err)
{
    struct fake *f = of(r);
    _cleanup_arena_ struct arena *a = arena_new();

    LOCK_SCOPE(&f->lock);
    buffer_printf(&f->log, "inspect %s\n", id);
    if (ordered(f, "inspect", err) < 0)
        return -1;
    const struct fake_container *k = fake_find(f, id);
    if (k == NULL)
        return error_set(err, REASON_NOT_FOUND, "no such container");
    fill(k, out);
    out->process = process_open(k->pid, k->ids);
    out->token = *k->token ? xstrdup(k->token) : NULL;
    const char *socket = host_socket(&f->host, a, id, k->socket);
    if (socket)
        instance_add_endpoint(out, PORT_MAIN, socket);
    else
        out->cut_off = "its socket directory was lost";
    return 0;
}

static int end_container(struct fake *f, const char *op, const char *id, unsigned grace, struct error **err)
{
    LOCK_SCOPE(&f->lock);
    buffer_printf(&f->log, "%s %s %u\n", op, id, grace);
    if (ordered(f, "remove", err) < 0)
        return -1;
    struct fake_container *k = fake_find(f, id);
    if (k) {
        hush(k);
        k->there = false;
    }
    return 0;
}

static int end(struct runtime *r, const char *id, unsigned grace, struct error **err)
{
    return end_container(of(r), "end", id, grace, err);
}

static int remove_one(struct runtime *r, const char *id, unsigned grace, struct error **err)
{
    return end_container(of(r), "remove", id, grace, err) < 0 ? -1 : host_remove(&of(r)->host, id, err);
}

static int sweep(struct runtime *r, void (*wanted)(void *arg, struct map *ids), void *arg, struct error **err)
{
    return host_sweep(&of(r)->host, wanted, arg, err);
}

static int list(struct runtime *r, struct instance **out, size_t *n, struct error **err)
{
    struct fake *f = of(r);

    LOCK_SCOPE(&f->lock);
    if (ordered(f, "list", err) < 0)
        return -1;
    *out = xcalloc(ARRAY_SIZE(f->containers), sizeof(**out));
    *n = 0;
    for (size_t i = 0; i < ARRAY_SIZE(f->containers); i++)
        if (f->containers[i].there)
            fill(&f->containers[i], &(*out)[(*n)++]);
    return 0;
}

static int logs(struct runtime *r, const char *id, const struct runtime_log_options *o,
                int (*write)(void *arg, struct str text), void *arg, struct error **err)
{
    struct fake *f = of(r);

    LOCK_SCOPE(&f->lock);
    return fake_find(f, id) ? write(arg, str_from(f->words ? f->words : "last words\n"))
                            : error_set(err, REASON_NOT_FOUND, "none");
}

static void nothing(struct runtime *r)
{
}

static const struct runtime_ops ops = {.name = "fake",
                                       .start = start,
                                       .facts = facts,
                                       .no_room = no_room,
                                       .image_find = image_find,
                                       .image_pull = image_pull,
                                       .name_of = name_of,
                                       .prepare = prepare,
                                       .ensure = ensure,
                                       .inspect = inspect,
                                       .end = end,
                                       .remove = remove_one,
                                       .list = list,
                                       .sweep = sweep,
                                       .logs = logs,
                                       .free = nothing};

/* --- for the test --------------------------------------------------------------------------------------------- */

void fake_init(struct fake *f, const struct config *c, const char *places)
{
    *f = (struct fake){
        .base = {&ops},
        .host = {.config = c, .places = xstrdup(places), .gateway_gid = getegid(), .menders = menders_new()},
        .facts = {.seen = {.user_namespace = true, .limits = true, .owner_ids = true}},
        .image = true,
        .pull_percent = 100,
        .stop_fd = -1,
        .status = 200,
        .log = BUFFER_MAX(1 << 20)};
    pthread_mutex_init(&f->lock, NULL);
}

void fake_end(struct fake *f)
{
    for (size_t i = 0; i < ARRAY_SIZE(f->containers); i++)
        hush(&f->containers[i]);
    free(f->host.places);
    menders_free(f->host.menders);
    buffer_free(&f->log);
    pthread_mutex_destroy(&f->lock);
}

void fake_fail(struct fake *f, const char *op, enum reason reason, const char *message, unsigned times)
{
    LOCK_SCOPE(&f->lock);
    for (size_t i = 0; i < ARRAY_SIZE(f->failures); i++) {
        if (f->failures[i].times && !streq(f->failures[i].op, op))
            continue;
        f->failures[i] = (struct fake_failure){op, reason, message, times};
        return;
    }
    abort();
}

void fake_available(struct fake *f, bool up)
{
    f->listener.available(f->listener.arg, up, up ? NULL : "the engine is away");
}

void fake_event(struct fake *f, const char *device)
{
    f->listener.changed(f->listener.arg, device);
}

unsigned fake_count(struct fake *f, const char *line)
{
    _cleanup_free_ char *whole = xasprintf("%s\n", line);
    unsigned n = 0;

    LOCK_SCOPE(&f->lock);
    for (const char *at = f->log.p; at && (at = strstr(at, whole)); at++)
        n++;
    return n;
}

bool fake_heard(struct fake *f, const char *text)
{
    LOCK_SCOPE(&f->lock);
    return f->log.p && strstr(f->log.p, text);
}

bool fake_has(struct fake *f, const char *id)
{
    LOCK_SCOPE(&f->lock);
    return fake_find(f, id) != NULL;
}
