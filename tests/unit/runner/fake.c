#include "unit/runner/fake.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/thread.h"

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

struct fake_container *fake_find(struct fake *f, const char *uid)
{
    for (size_t i = 0; i < ARRAY_SIZE(f->containers); i++)
        if (f->containers[i].there && streq(f->containers[i].uid, uid))
            return &f->containers[i];
    return NULL;
}

struct fake_container *fake_add(struct fake *f, const char *uid, const char *device)
{
    for (size_t i = 0; i < ARRAY_SIZE(f->containers); i++) {
        struct fake_container *k = &f->containers[i];
        if (k->there)
            continue;
        *k = (struct fake_container){.there = true, .state = INSTANCE_RUNNING};
        snprintf(k->uid, sizeof(k->uid), "%s", uid);
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
    *out = of(r)->facts;
    return ordered(of(r), "facts", err);
}

static int image_present(struct runtime *r, const char *image, struct error **err)
{
    struct fake *f = of(r);

    LOCK_SCOPE(&f->lock);
    buffer_printf(&f->log, "image %s\n", image);
    return ordered(f, "image", err) < 0 ? -1 : f->image;
}

static const char *variable(const struct runtime_spec *s, const char *name)
{
    for (size_t i = 0; i < s->variables_len; i++)
        if (streq(s->variables[i].name, name))
            return s->variables[i].value;
    return "";
}

static int ensure(struct runtime *r, const struct runtime_spec *s, struct error **err)
{
    struct fake *f = of(r);
    char path[108];

    LOCK_SCOPE(&f->lock);
    buffer_printf(&f->log, "ensure %s\n", s->uid);
    if (ordered(f, "ensure", err) < 0)
        return -1;
    struct fake_container *k = fake_add(f, s->uid, s->device);
    snprintf(k->owner, sizeof(k->owner), "%s", s->owner);
    snprintf(k->token, sizeof(k->token), "%s", variable(s, "OPENHYDRA_TOKEN"));
    snprintf(k->socket, sizeof(k->socket), "%s", variable(s, "OPENHYDRA_SOCKET"));
    k->revision = s->revision;
    if (f->mute)
        return 0;
    snprintf(path, sizeof(path), "%s%s", s->mounts[0].source, strrchr(k->socket, '/'));
    answerer_start(&k->answerer, path, f->status);
    k->listening = true;
    return 0;
}

static void fill(const struct fake_container *k, struct instance *out)
{
    *out = (struct instance){.state = k->state,
                             .device = xstrdup(k->device),
                             .uid = xstrdup(k->uid),
                             .owner = xstrdup(k->owner),
                             .revision = k->revision,
                             .exit_code = k->exit_code,
                             .out_of_memory = k->out_of_memory,
                             .pid = k->pid,
                             .paused = k->paused,
                             .unsupervised = k->unsupervised};
}

static int inspect(struct runtime *r, const char *uid, struct instance *out, struct error **err)
{
    struct fake *f = of(r);

    LOCK_SCOPE(&f->lock);
    buffer_printf(&f->log, "inspect %s\n", uid);
    if (ordered(f, "inspect", err) < 0)
        return -1;
    const struct fake_container *k = fake_find(f, uid);
    if (k == NULL)
        return error_set(err, REASON_NOT_FOUND, "no such container");
    fill(k, out);
    out->token = *k->token ? xstrdup(k->token) : NULL;
    out->socket = *k->socket ? xstrdup(k->socket) : NULL;
    return 0;
}

static int remove_one(struct runtime *r, const char *uid, unsigned grace, struct error **err)
{
    struct fake *f = of(r);

    LOCK_SCOPE(&f->lock);
    buffer_printf(&f->log, "remove %s %u\n", uid, grace);
    if (ordered(f, "remove", err) < 0)
        return -1;
    struct fake_container *k = fake_find(f, uid);
    if (k) {
        hush(k);
        k->there = false;
    }
    return 0;
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

static int logs(struct runtime *r, const char *uid, const struct runtime_log_options *o,
                int (*write)(void *arg, struct str text), void *arg, struct error **err)
{
    struct fake *f = of(r);

    LOCK_SCOPE(&f->lock);
    return fake_find(f, uid) ? write(arg, STR("last words\n")) : error_set(err, REASON_NOT_FOUND, "none");
}

static void nothing(struct runtime *r)
{
}

static const struct runtime_ops ops = {.name = "fake",
                                       .start = start,
                                       .facts = facts,
                                       .image_present = image_present,
                                       .ensure = ensure,
                                       .inspect = inspect,
                                       .remove = remove_one,
                                       .list = list,
                                       .logs = logs,
                                       .free = nothing};

/* --- for the test --------------------------------------------------------------------------------------------- */

void fake_init(struct fake *f)
{
    *f = (struct fake){.base = {&ops},
                       .facts = {.user_namespace = true, .limits = true},
                       .image = true,
                       .status = 200,
                       .log = BUFFER_MAX(1 << 20)};
    pthread_mutex_init(&f->lock, NULL);
}

void fake_end(struct fake *f)
{
    for (size_t i = 0; i < ARRAY_SIZE(f->containers); i++)
        hush(&f->containers[i]);
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

bool fake_has(struct fake *f, const char *uid)
{
    LOCK_SCOPE(&f->lock);
    return fake_find(f, uid) != NULL;
}
