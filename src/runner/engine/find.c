#include "runner/engine/find.h"

#include <stdlib.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/log.h"
#include "base/thread.h"
#include "runner/engine/facts.h"
#include "runner/engine/service.h"

#define PING_MS 3000

static bool answers_ping(struct engine *e, struct transport *t)
{
    struct call c = {.method = "GET", .path = "/_ping", .timeout_ms = PING_MS, .stop_fd = e->stop_fd, .max_body = 4096};
    _cleanup_answer_ struct answer a = {0};

    return transport_call(t, &c, &a, NULL) == 0 && a.status == 200;
}

static int use_transport(struct engine *e, struct transport *t, const char *socket, struct error **err)
{
    if (engine_read_facts(e, t, err) < 0)
        return error_wrap(err, "%s", socket);
    log_info("container engine: %s on %s", e->libpod ? "Podman" : "Docker", socket);
    LOCK_SCOPE(&e->lock);
    e->transport = t;
    return 0;
}

/* 1: in use now, 0: nobody there. */
static int try_socket(struct engine *e, const char *socket, struct error **err)
{
    struct stat st;

    if (stat(socket, &st) < 0 || !S_ISSOCK(st.st_mode))
        return 0;
    struct transport *t = transport_new(&(struct transport_options){.socket = socket, .url = "http://engine"});
    int rc = answers_ping(e, t) ? use_transport(e, t, socket, err) : 0;
    bool taken = e->transport == t;
    if (!taken)
        transport_free(t);
    return rc < 0 ? -1 : taken;
}

static const char *from_environment(const char *name)
{
    const char *value = getenv(name);

    if (value == NULL || *value == '\0')
        return NULL;
    if (starts_with(value, "unix://"))
        return value + strlen("unix://");
    log_warning("%s=%s is not a unix socket; passed over", name, value);
    return NULL;
}

/* The usual places, in order; the last is that of an engine of our own. */
static size_t candidates(const struct engine *e, struct arena *a, const char **out)
{
    static const char *const variables[] = {"CONTAINER_HOST", "DOCKER_HOST"};
    const char *user = getenv("XDG_RUNTIME_DIR");
    size_t n = 0;

    for (size_t i = 0; i < ARRAY_SIZE(variables); i++) {
        const char *socket = from_environment(variables[i]);
        if (socket)
            out[n++] = socket;
    }
    if (!e->rootless) {
        out[n++] = "/run/podman/podman.sock";
        out[n++] = "/var/run/docker.sock";
    } else if (user) {
        out[n++] = arena_printf(a, "%s/podman/podman.sock", user);
    }
    out[n++] = arena_printf(a, "%s/engine.sock", e->directory);
    return n;
}

int engine_connect(struct engine *e, struct error **err)
{
    _cleanup_arena_ struct arena *a = arena_new();
    const char *sockets[8];

    if (e->configured) {
        int rc = try_socket(e, e->configured, err);
        return rc != 0 ? (rc < 0 ? -1 : 0)
                       : error_set(err, REASON_SERVICE_UNAVAILABLE, "no container engine answers on %s (engineSocket)",
                                   e->configured);
    }
    size_t n = candidates(e, a, sockets);
    for (size_t i = 0; i < n; i++) {
        _cleanup_error_ struct error *why = NULL;
        int rc = try_socket(e, sockets[i], &why);
        if (rc > 0) {
            /* One that a killed runner left is ours again. */
            if (i == n - 1)
                e->own_socket = xstrdup(sockets[i]);
            return 0;
        }
        if (rc < 0)
            log_warning("%s", why->message);
    }
    const char *own = sockets[n - 1];
    free(e->own_socket);
    e->own_socket = xstrdup(own);
    if (engine_service_start(e, own, err) < 0)
        return -1;
    int rc = try_socket(e, own, err);
    return rc != 0 ? (rc < 0 ? -1 : 0)
                   : error_set(err, REASON_SERVICE_UNAVAILABLE, "the started container engine does not answer");
}
