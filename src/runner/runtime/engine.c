#include "runner/runtime/engine.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/encoding.h"
#include "base/io.h"
#include "base/log.h"
#include "base/thread.h"
#include "runner/runtime/seccomp.h"

#define KILLED 137 /* 128 + SIGKILL */
#define QUICK_MS 10000
#define SLOW_MS 60000 /* a disk that is busy with sixty starts */

void instance_clear(struct instance *i)
{
    free(i->device);
    free(i->uid);
    free(i->owner);
    if (i->token)
        explicit_bzero(i->token, strlen(i->token));
    free(i->token);
    free(i->socket);
    free(i->said);
    *i = (struct instance){0};
}

void runtime_free_instances(struct instance *list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        instance_clear(&list[i]);
    free(list);
}

char *url_quote(struct arena *a, const char *s)
{
    _cleanup_buffer_ struct buffer b = BUFFER_MAX(16384);
    buffer_percent_encode(&b, str_from(s));
    return arena_strndup(a, b.p ? b.p : "", b.n);
}

/* A name says whose it is to whoever looks at `podman ps`; the labels say the rest. */
char *container_name(struct arena *a, const char *uid)
{
    return arena_printf(a, "open-hydra-%s", uid);
}

int engine_transport(struct engine *e, struct transport **out, struct error **err)
{
    LOCK_SCOPE(&e->lock);
    if (e->transport == NULL)
        return error_set(err, REASON_SERVICE_UNAVAILABLE, "%s",
                         e->missing ? e->missing : "still looking for a container engine");
    *out = e->transport;
    return 0;
}

/* {"message": …} of Docker, {"cause", "message"} of Podman; anything else as it is. */
static int refused(const struct request *r, const struct answer *a, struct error **err)
{
    _cleanup_json_ yyjson_doc *doc = json_parse(buffer_str(&a->body), NULL);
    const char *message = doc ? json_str_at(yyjson_doc_get_root(doc), "message") : NULL;
    enum reason reason = REASON_INTERNAL;

    if (message == NULL)
        message = a->body.n ? a->body.p : "no reason given";
    /* Podman's own calls answer a missing image by 500. */
    if (a->status == 404 || strstr(message, "image not known"))
        reason = REASON_NOT_FOUND;
    else if (a->status == 409)
        reason = REASON_CONFLICT;
    else if (a->status / 100 == 4)
        reason = REASON_INVALID;
    return error_set(err, reason, "the container engine refused %s (%u): %.600s", r->method, a->status, message);
}

static bool is_wanted(const struct request *r, unsigned status)
{
    for (size_t i = 0; i < ARRAY_SIZE(r->wanted); i++)
        if (r->wanted[i] == status)
            return true;
    return false;
}

static int request_on(struct engine *e, struct transport *t, const struct request *r, yyjson_doc **answer,
                      struct error **err)
{
    _cleanup_answer_ struct answer a = {0};
    _cleanup_free_ char *body = NULL;
    struct call call = {.method = r->method, .path = r->path, .timeout_ms = r->timeout_ms, .stop_fd = e->stop_fd};

    if (r->body) {
        call.body.p = body = json_mut_write(yyjson_mut_doc_get_root(r->body), &call.body.n);
        call.content_type = "application/json";
    }
    int rc = transport_call(t, &call, &a, err);
    if (body)
        explicit_bzero(body, call.body.n); /* the environment's token is in it */
    if (rc < 0)
        return error_wrap(err, "the container engine does not answer");
    if (!is_wanted(r, a.status))
        return refused(r, &a, err);
    if (answer == NULL)
        return 0;
    *answer = json_parse(buffer_str(&a.body), err);
    return *answer ? 0 : error_wrap(err, "the container engine's answer to %s", r->method);
}

int engine_request(struct engine *e, const struct request *r, yyjson_doc **answer, struct error **err)
{
    struct transport *t;
    if (engine_transport(e, &t, err) < 0)
        return -1;
    return request_on(e, t, r, answer, err);
}

static struct engine *engine_of(struct runtime *r)
{
    return (struct engine *)(void *)r;
}

/* --- what it can ---------------------------------------------------------------------------------------------- */

static bool has_controllers(yyjson_val *list)
{
    unsigned found = 0;
    size_t i, max;
    yyjson_val *v;

    yyjson_arr_foreach (list, i, max, v) {
        const char *name = yyjson_get_str(v);
        found |= streq(name, "memory") ? 1u : streq(name, "cpu") ? 2u : streq(name, "pids") ? 4u : 0u;
    }
    return found == 7;
}

/* Of Podman's own mapping: 0 is its user, the rest is subordinate. */
static uint32_t count_subordinate(yyjson_val *map)
{
    uint32_t n = 0;
    size_t i, max;
    yyjson_val *v;

    yyjson_arr_foreach (map, i, max, v) {
        if (json_int_at(v, "container_id", 0) > 0)
            n += (uint32_t)json_int_at(v, "size", 0);
    }
    return n;
}

static int read_podman_facts(struct engine *e, struct transport *t, struct runtime_facts *f, struct error **err)
{
    struct request r = {"GET", LIBPOD "/info", NULL, SLOW_MS, {200}};
    _cleanup_json_ yyjson_doc *doc = NULL;

    if (request_on(e, t, &r, &doc, err) < 0)
        return -1;
    yyjson_val *host = json_at(yyjson_doc_get_root(doc), "host");
    f->rootless = json_bool_at(host, "security.rootless", false);
    f->user_namespace = f->network = !f->rootless;
    f->network_why = f->network ? NULL : "Podman runs without root";
    if (f->rootless) {
        f->subordinate_ids = count_subordinate(json_at(host, "idMappings.uidmap"));
        f->user_namespace_why = "Podman runs without root: the environments of all users run as one subordinate id, "
                                "which is no account";
    }
    f->limits = has_controllers(json_at(host, "cgroupControllers"));
    if (!f->limits)
        f->limits_why = "not all of the cgroup controllers memory, cpu and pids are delegated to the engine";
    return 0;
}

static int read_docker_facts(struct engine *e, struct transport *t, struct runtime_facts *f, struct error **err)
{
    struct request r = {"GET", API "/info", NULL, SLOW_MS, {200}};
    _cleanup_json_ yyjson_doc *doc = NULL;

    if (request_on(e, t, &r, &doc, err) < 0)
        return -1;
    yyjson_val *info = yyjson_doc_get_root(doc), *v;
    size_t i, max;
    yyjson_arr_foreach (json_at(info, "SecurityOptions"), i, max, v) {
        if (yyjson_is_str(v) && starts_with(yyjson_get_str(v), "name=rootless"))
            f->rootless = true;
    }
    f->user_namespace_why =
        "Docker has no user namespace for each container: the environment runs as the owner's host id";
    f->network_why = "Docker gives a network only to what runs already";
    f->limits = json_bool_at(info, "MemoryLimit", false) && json_bool_at(info, "CpuCfsQuota", false) &&
                json_bool_at(info, "PidsLimit", false);
    if (!f->limits)
        f->limits_why = "the kernel or the engine lacks limits of memory, CPU or processes";
    return 0;
}

/* Podman answers its own calls, Docker does not know them. (/version says it too, and runs three programs for it.) */
static int is_podman(struct engine *e, struct transport *t, struct error **err)
{
    struct call c = {.method = "GET", .path = LIBPOD "/_ping", .timeout_ms = QUICK_MS, .stop_fd = e->stop_fd};
    _cleanup_answer_ struct answer a = {0};

    if (transport_call(t, &c, &a, err) < 0)
        return -1;
    return a.status == 200;
}

/* `old` is what was said before. */
static void warn_of(const struct runtime_facts *old, const struct runtime_facts *f)
{
    if (f->user_namespace_why && f->user_namespace_why != old->user_namespace_why)
        log_warning("%s", f->user_namespace_why);
    if (f->limits_why && f->limits_why != old->limits_why)
        log_warning("limits of environments are not enforced: %s", f->limits_why);
}

int engine_read_facts(struct engine *e, struct transport *t, struct error **err)
{
    struct runtime_facts f = {0};
    int podman = is_podman(e, t, err);

    if (podman < 0)
        return -1;
    bool libpod = podman && !e->docker_only;
    if ((libpod ? read_podman_facts(e, t, &f, err) : read_docker_facts(e, t, &f, err)) < 0)
        return -1;
    if (engine_check_side(e, libpod, &f, err) < 0)
        return -1;
    warn_of(&e->facts, &f);
    LOCK_SCOPE(&e->lock);
    e->facts = f;
    e->podman = podman;
    e->libpod = libpod;
    e->limits = f.limits;
    return 0;
}

static int facts(struct runtime *r, struct runtime_facts *out, struct error **err)
{
    struct engine *e = engine_of(r);
    struct transport *t;

    if (engine_transport(e, &t, err) < 0)
        return -1;
    LOCK_SCOPE(&e->lock);
    *out = e->facts;
    return 0;
}

static int image_present(struct runtime *r, const char *image, struct error **err)
{
    _cleanup_arena_ struct arena *a = arena_new();
    _cleanup_error_ struct error *why = NULL;
    /* The slashes of an image's name are part of the path. */
    struct request q = {"GET", arena_printf(a, API "/images/%s/json", url_quote(a, image)), NULL, QUICK_MS, {200}};

    if (engine_request(engine_of(r), &q, NULL, &why) == 0)
        return 1;
    if (why->reason == REASON_NOT_FOUND)
        return 0;
    return error_set(err, why->reason, "%s", why->message);
}

/* --- ours, or another's with that name ------------------------------------------------------------------------- */

int engine_inspect(struct engine *e, struct arena *a, const char *uid, yyjson_doc **out, struct error **err)
{
    /* Podman's own answer says more: which process watches over it. */
    struct request q = {"GET",
                        arena_printf(a, "%s/containers/%s/json", e->libpod ? LIBPOD : API, container_name(a, uid)),
                        NULL,
                        SLOW_MS,
                        {200}};
    _cleanup_json_ yyjson_doc *doc = NULL;

    if (engine_request(e, &q, &doc, err) < 0)
        return -1;
    yyjson_val *labels = json_at(yyjson_doc_get_root(doc), "Config.Labels");
    if (!streq(yyjson_get_str(yyjson_obj_get(labels, LABEL_INSTALLATION)), e->installation) ||
        !streq(yyjson_get_str(yyjson_obj_get(labels, LABEL_UID)), uid))
        return error_set(err, REASON_CONFLICT, "a container with the name of this environment's is not ours");
    *out = steal_ptr(doc);
    return 0;
}

struct container {
    const char *id; /* by which no other can be meant; quoted for a path */
    pid_t conmon;   /* who reads what it prints; 0: nobody that is known */
};

/* 1: there; 0: there is none. */
static int find_ours(struct engine *e, struct arena *a, const char *uid, struct container *out, struct error **err)
{
    _cleanup_error_ struct error *why = NULL;
    _cleanup_json_ yyjson_doc *doc = NULL;

    if (engine_inspect(e, a, uid, &doc, &why) < 0)
        return why->reason == REASON_NOT_FOUND ? 0 : error_set(err, why->reason, "%s", why->message);
    yyjson_val *root = yyjson_doc_get_root(doc);
    const char *id = json_str_at(root, "Id");
    out->id = id ? url_quote(a, id) : container_name(a, uid);
    out->conmon = (pid_t)json_int_at(root, "State.ConmonPid", 0);
    return 1;
}

int engine_find(struct engine *e, struct arena *a, const char *uid, const char **id, struct error **err)
{
    struct container c = {0};
    int there = find_ours(e, a, uid, &c, err);

    *id = c.id;
    return there == 0 ? error_set(err, REASON_NOT_FOUND, "the environment has no container") : there;
}

/* --- making and ending ---------------------------------------------------------------------------------------- */

/* Anew by each runner, as the one before may have been another version; and where somebody tidied it away. */
static int write_profile(struct engine *e, struct arena *a, struct error **err)
{
    const char *path = engine_seccomp_path(a, e);

    LOCK_SCOPE(&e->lock);
    if (!e->podman || (e->profile_written && path_exists(path)))
        return 0;
    if (make_directory(e->directory, 0700, err) < 0 || write_file_atomic(path, seccomp_profiles[0].json, 0600, err) < 0)
        return error_wrap(err, "the profile of system calls");
    e->profile_written = true;
    return 0;
}

static int create(struct engine *e, struct arena *a, const struct runtime_spec *spec, struct error **err)
{
    const char *name = container_name(a, spec->uid);
    const char *path =
        e->libpod ? LIBPOD "/containers/create" : arena_printf(a, API "/containers/create?name=%s", name);
    struct request r = {"POST", path, NULL, SLOW_MS, {201}};

    if (write_profile(e, a, err) < 0)
        return -1;
    _cleanup_json_mut_ yyjson_mut_doc *body = engine_body(e, spec);

    r.body = body;
    return engine_request(e, &r, NULL, err);
}

static int start_container(struct engine *e, struct arena *a, const char *uid, struct error **err)
{
    struct request r = {
        "POST", arena_printf(a, API "/containers/%s/start", container_name(a, uid)), NULL, SLOW_MS, {204, 304}};
    return engine_request(e, &r, NULL, err);
}

static void bound_conmon(struct engine *e, struct arena *a, const char *uid)
{
    struct container c;

    if (e->libpod && find_ours(e, a, uid, &c, NULL) == 1)
        engine_conmon_bound(uid, c.conmon);
}

static int ensure(struct runtime *r, const struct runtime_spec *spec, struct error **err)
{
    struct engine *e = engine_of(r);
    _cleanup_arena_ struct arena *a = arena_new();
    struct container c;
    int there = find_ours(e, a, spec->uid, &c, err);

    if (there < 0)
        return -1;
    if (there == 0 && create(e, a, spec, err) < 0)
        return -1;
    if (spec->network && engine_network_prepare(e, a, spec->uid, err) < 0)
        return -1;
    if (start_container(e, a, spec->uid, err) < 0)
        return -1;
    bound_conmon(e, a, spec->uid);
    return 0;
}

static int stop_container(struct engine *e, struct arena *a, const char *name, unsigned grace, struct error **err)
{
    struct request r = {"POST",
                        arena_printf(a, API "/containers/%s/stop?t=%u", name, grace),
                        NULL,
                        SLOW_MS + grace * 1000,
                        {204, 304, 404}};
    return engine_request(e, &r, NULL, err);
}

static int exists(struct engine *e, struct arena *a, const char *name, struct error **err)
{
    struct request r = {"GET", arena_printf(a, API "/containers/%s/json", name), NULL, QUICK_MS, {200}};
    _cleanup_error_ struct error *why = NULL;

    if (engine_request(e, &r, NULL, &why) == 0)
        return 1;
    return why->reason == REASON_NOT_FOUND ? 0 : error_set(err, why->reason, "%s", why->message);
}

/* «device or resource busy» may be answered about a container that is gone all the same: look again before calling it a
 * failure. */
static int remove_container(struct engine *e, struct arena *a, const char *name, struct error **err)
{
    struct request r = {
        "DELETE", arena_printf(a, API "/containers/%s?force=true&v=true", name), NULL, SLOW_MS, {200, 204, 404}};
    _cleanup_error_ struct error *why = NULL;

    for (unsigned tries = 0; tries < 5; tries++) {
        if (engine_request(e, &r, NULL, &why) == 0)
            return 0;
        int there = exists(e, a, name, err);
        if (there <= 0)
            return there;
        if (why->reason == REASON_SERVICE_UNAVAILABLE || stop_wait(e->stop_fd, 100u << tries))
            break;
    }
    return error_set(err, why->reason, "%s", why->message);
}

static int end(struct engine *e, struct arena *a, const struct container *c, unsigned grace, struct error **err)
{
    _cleanup_error_ struct error *why = NULL;

    engine_conmon_release(c->conmon);
    /* A stop that fails is no reason to keep it: removal kills. */
    if (stop_container(e, a, c->id, grace, &why) < 0 && why->reason == REASON_SERVICE_UNAVAILABLE)
        return error_set(err, why->reason, "%s", why->message);
    return remove_container(e, a, c->id, err);
}

static int remove_instance(struct runtime *r, const char *uid, unsigned grace, struct error **err)
{
    struct engine *e = engine_of(r);
    _cleanup_arena_ struct arena *a = arena_new();
    _cleanup_error_ struct error *why = NULL;
    struct container c;
    int there = find_ours(e, a, uid, &c, &why);

    if (there > 0 && end(e, a, &c, grace, err) < 0)
        return -1;
    if (there < 0 && why->reason != REASON_CONFLICT)
        return error_set(err, why->reason, "%s", why->message);
    if (there < 0)
        log_warning("%s: %s; it is left alone", uid, why->message);
    engine_network_forget(e, uid);
    engine_conmon_forget(uid);
    return 0;
}

/* --- looking -------------------------------------------------------------------------------------------------- */

static char *copy(const char *s)
{
    return s ? xstrdup(s) : NULL;
}

static enum instance_state state_of(const char *s)
{
    if (streq(s, "running") || streq(s, "paused") || streq(s, "stopping"))
        return INSTANCE_RUNNING;
    if (streq(s, "created") || streq(s, "configured") || streq(s, "initialized"))
        return INSTANCE_CREATED;
    return INSTANCE_ENDED;
}

static void read_labels(yyjson_val *labels, struct instance *out)
{
    out->device = copy(yyjson_get_str(yyjson_obj_get(labels, LABEL_DEVICE)));
    out->uid = copy(yyjson_get_str(yyjson_obj_get(labels, LABEL_UID)));
    out->owner = copy(yyjson_get_str(yyjson_obj_get(labels, LABEL_OWNER)));
    const char *revision = yyjson_get_str(yyjson_obj_get(labels, LABEL_REVISION));
    unsigned long long n;
    out->revision = revision && str_to_u64(str_from(revision), UINT64_MAX, &n) == 0 ? n : 0;
}

static char *find_variable(yyjson_val *variables, const char *name)
{
    size_t i, max, n = strlen(name);
    yyjson_val *v;

    yyjson_arr_foreach (variables, i, max, v) {
        const char *s = yyjson_get_str(v);
        if (s && strncmp(s, name, n) == 0 && s[n] == '=')
            return xstrdup(s + n + 1);
    }
    return NULL;
}

/* Where its container's process is seen, so would be the one that watches over it. */
static bool is_gone(pid_t pid)
{
    return pid > 1 && kill(pid, 0) < 0 && errno == ESRCH;
}

static int inspect(struct runtime *r, const char *uid, struct instance *out, struct error **err)
{
    struct engine *e = engine_of(r);
    _cleanup_arena_ struct arena *a = arena_new();
    _cleanup_json_ yyjson_doc *doc = NULL;

    if (engine_inspect(e, a, uid, &doc, err) < 0)
        return -1;
    yyjson_val *root = yyjson_doc_get_root(doc);
    const char *said = json_str_at(root, "State.Error"), *started = json_str_at(root, "State.StartedAt");
    *out = (struct instance){
        .state = state_of(json_str_at(root, "State.Status")),
        .token = find_variable(json_at(root, "Config.Env"), TOKEN_VARIABLE),
        .socket = find_variable(json_at(root, "Config.Env"), SOCKET_VARIABLE),
        .exit_code = (int)json_int_at(root, "State.ExitCode", 0),
        .out_of_memory = json_bool_at(root, "State.OOMKilled", false),
        .pid = (int)json_int_at(root, "State.Pid", 0),
        .paused = streq(json_str_at(root, "State.Status"), "paused"),
        .said = said && *said ? xstrdup(said) : NULL,
    };
    out->unsupervised = is_gone((pid_t)json_int_at(root, "State.ConmonPid", 0)) && !is_gone(out->pid);
    read_labels(json_at(root, "Config.Labels"), out);
    const char *id = json_str_at(root, "Id");
    if (out->state == INSTANCE_ENDED && out->exit_code == KILLED && !out->out_of_memory && id)
        out->out_of_memory = engine_killed_for_memory(id);
    /* "0001-01-01T00:00:00Z" is Go's way to say never. */
    if (started && (timestamp_parse(str_from(started), &out->started_us) < 0 || out->started_us < 0))
        out->started_us = 0;
    if (out->state == INSTANCE_RUNNING)
        engine_network_refresh(e, uid, root);
    return 0;
}

static int list(struct runtime *r, struct instance **out, size_t *n, struct error **err)
{
    struct engine *e = engine_of(r);
    _cleanup_arena_ struct arena *a = arena_new();
    _cleanup_json_ yyjson_doc *doc = NULL;
    struct request q = {"GET", NULL, NULL, SLOW_MS, {200}};
    size_t i, max;
    yyjson_val *v;

    q.path = arena_printf(a, API "/containers/json?all=true&filters=%s", engine_filter(a, e->installation));
    if (engine_request(e, &q, &doc, err) < 0)
        return -1;
    yyjson_val *root = yyjson_doc_get_root(doc);
    *out = xcalloc(yyjson_arr_size(root) + 1, sizeof(**out));
    *n = 0;
    yyjson_arr_foreach (root, i, max, v) {
        struct instance *one = &(*out)[(*n)++];
        one->state = state_of(json_str_at(v, "State"));
        read_labels(json_at(v, "Labels"), one);
        if (one->uid == NULL || one->device == NULL) {
            instance_clear(one);
            (*n)--;
        }
    }
    return 0;
}

static int usage(struct runtime *r, const char *uid, struct runtime_usage *out, struct error **err)
{
    _cleanup_arena_ struct arena *a = arena_new();
    _cleanup_json_ yyjson_doc *doc = NULL;
    const char *id;

    if (engine_find(engine_of(r), a, uid, &id, err) < 0)
        return -1;
    struct request q = {
        "GET", arena_printf(a, API "/containers/%s/stats?stream=false&one-shot=true", id), NULL, QUICK_MS, {200}};
    if (engine_request(engine_of(r), &q, &doc, err) < 0)
        return -1;
    yyjson_val *root = yyjson_doc_get_root(doc);
    *out = (struct runtime_usage){
        .memory_bytes = (uint64_t)json_int_at(root, "memory_stats.usage", 0),
        .memory_limit = (uint64_t)json_int_at(root, "memory_stats.limit", 0),
        .cpu_ns = (uint64_t)json_int_at(root, "cpu_stats.cpu_usage.total_usage", 0),
        .pids = (unsigned)json_int_at(root, "pids_stats.current", 0),
    };
    return 0;
}

/* --- life ----------------------------------------------------------------------------------------------------- */

static void start(struct runtime *r, const struct runtime_listener *l)
{
    struct engine *e = engine_of(r);
    e->listener = *l;
    e->started = true;
    e->thread = thread_start("engine", engine_watch, e);
}

static void engine_free(struct runtime *r)
{
    struct engine *e = engine_of(r);

    if (e->started)
        pthread_join(e->thread, NULL);
    engine_service_stop(e);
    transport_free(e->transport);
    pthread_mutex_destroy(&e->lock);
    free(e->configured);
    free(e->directory);
    free(e->installation);
    map_free(e->guarded, free);
    free(e->missing);
    free(e->own_socket);
    free(e);
}

static const struct runtime_ops ops = {
    .name = "engine",
    .start = start,
    .facts = facts,
    .image_present = image_present,
    .ensure = ensure,
    .inspect = inspect,
    .remove = remove_instance,
    .list = list,
    .logs = engine_logs,
    .usage = usage,
    .free = engine_free,
};

struct runtime *engine_new(const struct engine_options *options)
{
    struct engine *e = xcalloc(1, sizeof(*e));
    e->base.ops = &ops;
    e->configured = copy(options->socket);
    e->directory = xstrdup(options->directory);
    e->installation = xstrdup(options->installation);
    e->guarded = map_new();
    e->stop_fd = options->stop_fd;
    e->docker_only = options->docker_only;
    e->rootless = options->rootless;
    pthread_mutex_init(&e->lock, NULL);
    return &e->base;
}
