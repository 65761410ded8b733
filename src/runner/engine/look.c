#include "runner/engine/look.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "runner/engine/container.h"
#include "runner/engine/gpus.h"
#include "runner/engine/guard.h"
#include "runner/engine/host.h"
#include "runner/engine/image.h"
#include "runner/engine/oom.h"
#include "runner/engine/ports.h"
#include "runner/engine/process.h"
#include "runner/engine/shortage.h"

#define KILLED 137 /* 128 + SIGKILL */
#define TOKEN_VARIABLE "OPENHYDRA_TOKEN"
#define SOCKET_VARIABLE "OPENHYDRA_SOCKET"

static enum instance_state state_of(const char *s)
{
    if (streq(s, "running") || streq(s, "paused") || streq(s, "stopping"))
        return INSTANCE_RUNNING;
    if (streq(s, "created") || streq(s, "configured") || streq(s, "initialized"))
        return INSTANCE_CREATED;
    return INSTANCE_ENDED;
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

static void read_endpoints(struct engine *e, struct arena *a, const char *instance, yyjson_val *container,
                           struct instance *out)
{
    _cleanup_free_ char *inside = find_variable(json_at(container, "Config.Env"), SOCKET_VARIABLE);
    const char *socket = inside ? host_socket(e, a, instance, inside) : NULL;

    if (socket)
        instance_add_endpoint(out, PORT_MAIN, socket);
    ports_add_endpoints(e, a, instance, container, out);
    if (out->endpoints_len == 0)
        out->cut_off = "its socket directory was lost";
    ports_serve(e, a, instance, container);
}

int engine_look(struct runtime *r, const char *instance, struct instance *out, struct error **err)
{
    struct engine *e = engine_of(r);
    _cleanup_arena_ struct arena *a = arena_new();
    _cleanup_json_ yyjson_doc *doc = NULL;

    if (engine_inspect(e, a, instance, &doc, err) < 0)
        return -1;
    yyjson_val *root = yyjson_doc_get_root(doc);
    const char *said = json_str_at(root, "State.Error"), *started = json_str_at(root, "State.StartedAt");
    *out = (struct instance){
        .state = state_of(json_str_at(root, "State.Status")),
        .token = find_variable(json_at(root, "Config.Env"), TOKEN_VARIABLE),
        .exit_code = (int)json_int_at(root, "State.ExitCode", 0),
        .out_of_memory = json_bool_at(root, "State.OOMKilled", false),
        .process = process_of_container(root),
        .paused = streq(json_str_at(root, "State.Status"), "paused"),
        .said = said && *said ? xstrdup(said) : NULL,
    };
    out->image = engine_image_id(json_str_at(root, "Image"));
    out->unsupervised = is_gone((pid_t)json_int_at(root, "State.ConmonPid", 0)) && !is_gone(out->process.pid);
    container_read_labels(json_at(root, "Config.Labels"), out);
    const char *id = json_str_at(root, "Id");
    if (out->state == INSTANCE_ENDED && out->exit_code == KILLED && !out->out_of_memory && id)
        out->out_of_memory = engine_killed_for_memory(id);
    /* "0001-01-01T00:00:00Z" is Go's way to say never. */
    if (started && (timestamp_parse(str_from(started), &out->started_us) < 0 || out->started_us < 0))
        out->started_us = 0;
    if (out->state != INSTANCE_RUNNING)
        return 0;
    if (id && out->device)
        shortages_watch(e->shortages, instance, out->device, id, out->process.pid);
    if (out->gpus && id)
        engine_gpus_held(e, instance, id);
    engine_network_refresh(e, instance, root);
    read_endpoints(e, a, instance, root, out);
    return 0;
}

int engine_list(struct runtime *r, struct instance **out, size_t *n, struct error **err)
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
        container_read_labels(json_at(v, "Labels"), one);
        if (one->id == NULL || one->device_uid == NULL || one->device == NULL) {
            instance_clear(one);
            (*n)--;
        }
    }
    return 0;
}

int engine_usage(struct runtime *r, const char *instance, struct runtime_usage *out, struct error **err)
{
    _cleanup_arena_ struct arena *a = arena_new();
    _cleanup_json_ yyjson_doc *doc = NULL;
    const char *id;

    if (engine_find(engine_of(r), a, instance, &id, err) < 0)
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
