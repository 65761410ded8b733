#include "runner/engine/facts.h"

#include <stdio.h>

#include "base/log.h"
#include "base/thread.h"
#include "runner/gpu/watch.h"
#include "runner/relay/relays.h"

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

static void take_version(struct engine_facts *f, const char *name, const char *version)
{
    snprintf(f->version, sizeof(f->version), "%s %s", name, version ? version : "?");
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

static int read_podman_facts(struct engine *e, struct transport *t, struct engine_facts *f, struct error **err)
{
    struct request r = {"GET", LIBPOD "/info", NULL, SLOW_MS, {200}};
    _cleanup_json_ yyjson_doc *doc = NULL;

    if (engine_request_on(e, t, &r, &doc, err) < 0)
        return -1;
    yyjson_val *host = json_at(yyjson_doc_get_root(doc), "host");
    take_version(f, "podman", json_str_at(yyjson_doc_get_root(doc), "version.Version"));
    f->rootless = json_bool_at(host, "security.rootless", false);
    f->seen.user_namespace = f->seen.network = !f->rootless;
    f->seen.network_why = f->seen.network ? NULL : "Podman runs without root";
    if (f->rootless) {
        f->subordinate_ids = count_subordinate(json_at(host, "idMappings.uidmap"));
        f->seen.user_namespace_why =
            "Podman runs without root: the environments of all users run as one subordinate id, "
            "which is no account";
    }
    f->seen.limits = has_controllers(json_at(host, "cgroupControllers"));
    if (!f->seen.limits)
        f->seen.limits_why = "not all of the cgroup controllers memory, cpu and pids are delegated to the engine";
    return 0;
}

static int read_docker_facts(struct engine *e, struct transport *t, struct engine_facts *f, struct error **err)
{
    struct request r = {"GET", API "/info", NULL, SLOW_MS, {200}};
    _cleanup_json_ yyjson_doc *doc = NULL;

    if (engine_request_on(e, t, &r, &doc, err) < 0)
        return -1;
    yyjson_val *info = yyjson_doc_get_root(doc), *v;
    take_version(f, "docker", json_str_at(info, "ServerVersion"));
    size_t i, max;
    yyjson_arr_foreach (json_at(info, "SecurityOptions"), i, max, v) {
        if (yyjson_is_str(v) && starts_with(yyjson_get_str(v), "name=rootless"))
            f->rootless = true;
    }
    f->seen.user_namespace_why =
        "Docker has no user namespace for each container: the environment runs as the owner's host id";
    f->seen.network_why = "Docker gives a network only to what runs already";
    f->seen.limits = json_bool_at(info, "MemoryLimit", false) && json_bool_at(info, "CpuCfsQuota", false) &&
                     json_bool_at(info, "PidsLimit", false);
    if (!f->seen.limits)
        f->seen.limits_why = "the kernel or the engine lacks limits of memory, CPU or processes";
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

/* What is mounted here must be what the engine finds at that path. */
int engine_check_side(const struct engine *e, bool libpod, const struct engine_facts *f, struct error **err)
{
    if (e->rootless && !(libpod && f->rootless))
        return error_set(err, REASON_FORBIDDEN,
                         "without root environments run on Podman without root alone, and this is another engine");
    if (e->rootless && f->subordinate_ids == 0)
        return error_set(
            err, REASON_FORBIDDEN,
            "Podman has no ids for what runs in containers (/etc/subuid, /etc/subgid): sudo usermod "
            "--add-subuids 100000-165535 --add-subgids 100000-165535 USER, then podman system migrate, and "
            "start again");
    if (!e->rootless && f->rootless)
        return error_set(err, REASON_FORBIDDEN, "this engine runs without root: start open-hydra as its user");
    return 0;
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
    struct engine_facts f = {0};
    int podman = is_podman(e, t, err);

    if (podman < 0)
        return -1;
    bool libpod = podman && !e->docker_only;
    if ((libpod ? read_podman_facts(e, t, &f, err) : read_docker_facts(e, t, &f, err)) < 0)
        return -1;
    f.seen.owner_ids = !f.rootless;
    f.seen.tcp_why = relays_missing();
    f.seen.tcp = f.seen.tcp_why == NULL;
    if (engine_check_side(e, libpod, &f, err) < 0)
        return -1;
    warn_of(&e->facts.seen, &f.seen);
    LOCK_SCOPE(&e->lock);
    e->facts = f;
    e->podman = podman;
    e->libpod = libpod;
    e->limits = f.seen.limits;
    return 0;
}

int engine_get_facts(struct engine *e, struct engine_facts *out, struct error **err)
{
    struct transport *t;

    if (engine_transport(e, &t, err) < 0)
        return -1;
    LOCK_SCOPE(&e->lock);
    *out = e->facts;
    return 0;
}

void engine_about(struct runtime *r, struct arena *a, struct runtime_about *out)
{
    struct engine *e = engine_of(r);
    struct engine_facts f;

    *out = (struct runtime_about){0};
    if (engine_get_facts(e, &f, NULL) == 0)
        out->engine = arena_strdup(a, f.version);
    if (e->gpus == NULL)
        return;
    _cleanup_gpu_list_ struct gpu_list *l = gpus_now(e->gpus);
    out->gpus_known = gpus_known(e->gpus);
    out->gpus_message = arena_strdup_or_null(a, l->message);
}
