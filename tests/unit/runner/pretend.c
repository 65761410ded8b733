#include "unit/runner/pretend.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "base/alloc.h"
#include "base/thread.h"

static struct pretend *of(struct runtime *r)
{
    return (struct pretend *)(void *)r;
}

/* --- what there is ------------------------------------------------------------------------------------------------ */

static void hush(struct pretend *p)
{
    if (p->reachable)
        answerer_end(&p->answerer);
    p->reachable = false;
}

static void forget(struct pretend *p)
{
    char **const texts[] = {&p->id, &p->device, &p->device_uid, &p->owner, &p->token, &p->home};

    hush(p);
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        free(*texts[i]);
        *texts[i] = NULL;
    }
    p->there = false;
}

static void describe(const struct pretend *p, struct instance *out)
{
    *out = (struct instance){.state = INSTANCE_RUNNING,
                             .id = xstrdup(p->id),
                             .device = xstrdup(p->device),
                             .device_uid = xstrdup(p->device_uid),
                             .owner = xstrdup(p->owner),
                             .token = xstrdup(p->token)};
    if (!p->reachable)
        return;
    out->endpoints = xcalloc(1, sizeof(struct endpoint));
    out->endpoints[0] = (struct endpoint){xstrdup(PORT_MAIN), xstrdup(p->address)};
    out->endpoints_len = 1;
}

/* --- operations --------------------------------------------------------------------------------------------------- */

static void start(struct runtime *r, const struct runtime_listener *l)
{
    of(r)->listener = *l;
    l->available(l->arg, true, NULL);
}

static int facts(struct runtime *r, struct runtime_facts *out, struct error **err)
{
    *out = (struct runtime_facts){.user_namespace = true, .limits = true};
    return 0;
}

static char *no_room(struct runtime *r)
{
    return NULL;
}

static int image_find(struct runtime *r, const char *image, struct runtime_image *out, struct error **err)
{
    *out = (struct runtime_image){.id = "sha256:0", .bytes = 1};
    return 1;
}

static int image_pull(struct runtime *r, const struct runtime_pull *pull,
                      int (*progress)(void *arg, const struct runtime_progress *p), void *arg, struct error **err)
{
    return error_set(err, REASON_INVALID, "there is nothing to pull for who pretends");
}

static char *name_of(struct runtime *r, const char *id)
{
    return xasprintf("pretended-%s", id);
}

static int prepare(struct runtime *r, struct arena *a, struct runtime_spec *spec, const char **reason,
                   struct error **err)
{
    LOCK_SCOPE(&of(r)->lock);
    of(r)->prepared++;
    if (!of(r)->unready)
        return 0;
    *reason = "MendingHome";
    spec->progress = arena_printf(a, "look %u", of(r)->prepared);
    spec->kept_apart = "of a former one";
    return 1;
}

static const char *token_of(const struct runtime_spec *s)
{
    for (size_t i = 0; i < s->variables_len; i++)
        if (streq(s->variables[i].name, "OPENHYDRA_TOKEN"))
            return s->variables[i].value;
    return "";
}

static int ensure(struct runtime *r, const struct runtime_spec *s, struct instance *out, struct error **err)
{
    struct pretend *p = of(r);

    LOCK_SCOPE(&p->lock);
    forget(p);
    p->there = true;
    p->id = xstrdup(s->instance);
    p->device = xstrdup(s->device);
    p->device_uid = xstrdup(s->device_uid);
    p->owner = xstrdup(s->owner);
    p->home = xstrdup(s->home);
    p->token = xstrdup(token_of(s));
    p->home_quota = s->home_quota;
    describe(p, out);
    return 0;
}

static int inspect(struct runtime *r, const char *id, struct instance *out, struct error **err)
{
    struct pretend *p = of(r);

    LOCK_SCOPE(&p->lock);
    if (!p->there || !streq(p->id, id))
        return error_set(err, REASON_NOT_FOUND, "it does not even pretend");
    describe(p, out);
    return 0;
}

static int end(struct runtime *r, const char *id, unsigned grace, struct error **err)
{
    LOCK_SCOPE(&of(r)->lock);
    forget(of(r));
    return 0;
}

static int remove_it(struct runtime *r, const char *id, unsigned grace, struct error **err)
{
    LOCK_SCOPE(&of(r)->lock);
    of(r)->removed++;
    forget(of(r));
    return 0;
}

static int list(struct runtime *r, struct instance **out, size_t *n, struct error **err)
{
    LOCK_SCOPE(&of(r)->lock);
    *out = xcalloc(1, sizeof(**out));
    *n = of(r)->there;
    if (of(r)->there)
        describe(of(r), *out);
    return 0;
}

static int sweep(struct runtime *r, void (*wanted)(void *arg, struct map *ids), void *arg, struct error **err)
{
    return 0;
}

static int logs(struct runtime *r, const char *id, const struct runtime_log_options *o,
                int (*write)(void *arg, struct str text), void *arg, struct error **err)
{
    return write(arg, STR("as if\n"));
}

static int usage(struct runtime *r, const char *id, struct runtime_usage *out, struct error **err)
{
    *out = (struct runtime_usage){.pids = 1};
    return 0;
}

static int storage(struct runtime *r, const struct runtime_owner *o, int (*step)(void *arg), void *arg,
                   struct runtime_storage *out, struct error **err)
{
    LOCK_SCOPE(&of(r)->lock);
    of(r)->looked++;
    of(r)->looked_for = (struct runtime_owner){NULL, o->id, o->quota};
    *out = of(r)->storage;
    return 0;
}

static void nothing(struct runtime *r)
{
}

static const struct runtime_ops ops = {.name = "pretend",
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
                                       .remove = remove_it,
                                       .list = list,
                                       .sweep = sweep,
                                       .logs = logs,
                                       .usage = usage,
                                       .storage = storage,
                                       .free = nothing};

/* --- for the test ------------------------------------------------------------------------------------------------- */

void pretend_init(struct pretend *p)
{
    *p = (struct pretend){.base = {&ops}};
    pthread_mutex_init(&p->lock, NULL);
}

void pretend_end(struct pretend *p)
{
    forget(p);
    pthread_mutex_destroy(&p->lock);
}

static int listen_somewhere(char *address, size_t n)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(a);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 || listen(fd, 64) < 0 ||
        getsockname(fd, (struct sockaddr *)&a, &size) < 0)
        abort();
    snprintf(address, n, "http://127.0.0.1:%u", ntohs(a.sin_port));
    return fd;
}

void pretend_reach(struct pretend *p)
{
    char device[64];
    {
        LOCK_SCOPE(&p->lock);
        hush(p);
        answerer_start_on(&p->answerer, listen_somewhere(p->address, sizeof(p->address)), 200);
        p->reachable = true;
        snprintf(device, sizeof(device), "%s", p->device);
    }
    p->listener.changed(p->listener.arg, device);
}
