#include "runner/engine/container.h"

#include <string.h>

#include "base/alloc.h"
#include "runner/engine/conmon.h"

/* A name says whose it is to whoever looks at `podman ps`; the labels say the rest. */
char *container_name(struct arena *a, const char *instance)
{
    return arena_printf(a, "open-hydra-%s", instance);
}

/* --- Labels --- */

static const char *label(yyjson_val *labels, const char *name)
{
    return yyjson_get_str(yyjson_obj_get(labels, name));
}

/* What was made before instances had ids of their own has its device's. */
static const char *instance_label(yyjson_val *labels)
{
    const char *id = label(labels, LABEL_INSTANCE);
    return id ? id : label(labels, LABEL_UID);
}

void container_read_labels(yyjson_val *labels, struct instance *out)
{
    const char *revision = label(labels, LABEL_REVISION);

    out->id = xstrdup_or_null(instance_label(labels));
    out->device = xstrdup_or_null(label(labels, LABEL_DEVICE));
    out->device_uid = xstrdup_or_null(label(labels, LABEL_UID));
    out->owner = xstrdup_or_null(label(labels, LABEL_OWNER));
    out->gpus = xstrdup_or_null(label(labels, LABEL_GPUS));
    unsigned long long n;
    out->revision = revision && str_to_u64(str_from(revision), UINT64_MAX, &n) == 0 ? n : 0;
}

char *engine_filter(struct arena *a, const char *installation)
{
    char *text = arena_printf(a, "{\"label\":[\"%s=%s\"]}", LABEL_INSTALLATION, installation);
    return url_quote(a, text);
}

/* --- Ours, or another's with that name --- */

int engine_inspect(struct engine *e, struct arena *a, const char *instance, yyjson_doc **out, struct error **err)
{
    /* Podman's own answer says more: which process watches over it. */
    struct request q = {"GET",
                        arena_printf(a, "%s/containers/%s/json", e->libpod ? LIBPOD : API, container_name(a, instance)),
                        NULL,
                        SLOW_MS,
                        {200}};
    _cleanup_json_ yyjson_doc *doc = NULL;

    if (engine_request(e, &q, &doc, err) < 0)
        return -1;
    yyjson_val *labels = json_at(yyjson_doc_get_root(doc), "Config.Labels");
    if (!streq(label(labels, LABEL_INSTALLATION), e->installation) || !streq(instance_label(labels), instance))
        return error_set(err, REASON_CONFLICT, "a container with the name of this environment's is not ours");
    *out = steal_ptr(doc);
    return 0;
}

int container_find(struct engine *e, struct arena *a, const char *instance, struct container *out, struct error **err)
{
    _cleanup_error_ struct error *why = NULL;
    _cleanup_json_ yyjson_doc *doc = NULL;

    if (engine_inspect(e, a, instance, &doc, &why) < 0)
        return why->reason == REASON_NOT_FOUND ? 0 : error_set(err, why->reason, "%s", why->message);
    yyjson_val *root = yyjson_doc_get_root(doc);
    const char *id = json_str_at(root, "Id");
    out->id = id ? url_quote(a, id) : container_name(a, instance);
    out->conmon = (pid_t)json_int_at(root, "State.ConmonPid", 0);
    return 1;
}

int engine_find(struct engine *e, struct arena *a, const char *instance, const char **id, struct error **err)
{
    struct container c = {0};
    int there = container_find(e, a, instance, &c, err);

    *id = c.id;
    return there == 0 ? error_set(err, REASON_NOT_FOUND, "the environment has no container") : there;
}

/* --- Ending --- */

static int stop_container(struct engine *e, struct arena *a, const char *name, unsigned grace, struct error **err)
{
    struct request r = {"POST",
                        arena_printf(a, API "/containers/%s/stop?t=%u", name, grace),
                        NULL,
                        SLOW_MS + grace * 1000,
                        {204, 304, 404}};
    return engine_request(e, &r, NULL, err);
}

static int container_exists(struct engine *e, struct arena *a, const char *name, struct error **err)
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
        int there = container_exists(e, a, name, err);
        if (there <= 0)
            return there;
        if (why->reason == REASON_SERVICE_UNAVAILABLE || stop_wait(e->stop_fd, 100u << tries))
            break;
    }
    return error_set(err, why->reason, "%s", why->message);
}

int container_end(struct engine *e, struct arena *a, const struct container *c, unsigned grace, struct error **err)
{
    _cleanup_error_ struct error *why = NULL;

    engine_conmon_release(c->conmon);
    /* A stop that fails is no reason to keep it: removal kills. */
    if (stop_container(e, a, c->id, grace, &why) < 0 && why->reason == REASON_SERVICE_UNAVAILABLE)
        return error_set(err, why->reason, "%s", why->message);
    return remove_container(e, a, c->id, err);
}
