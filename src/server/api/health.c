#include "server/api/health.h"

#include <stdio.h>

#include "base/clock.h"
#include "server/api/metrics.h"
#include "server/api/watch_hub.h"

static bool add_check(struct buffer *b, const char *check, const char *failure, const char *note)
{
    if (failure)
        buffer_printf(b, "[-]%s failed: %s\n", check, failure);
    else
        buffer_printf(b, "[+]%s ok%s\n", check, note);
    return failure == NULL;
}

/* Names are for the log and for /metrics, which not everybody may read. */
static bool check_store(struct buffer *b, struct store *store)
{
    _cleanup_error_ struct error *err = NULL;
    size_t damaged = store_damaged_count(store, NULL);
    char note[64] = "";

    if (damaged)
        snprintf(note, sizeof(note), ", %zu damaged object%s set aside", damaged, damaged == 1 ? "" : "s");
    bool good = store_health(store, clock_monotonic_us(), &err) == 0;
    return add_check(b, "store", good ? NULL : err->message, note);
}

/* That this answers says that the event threads are alive, which is all that /livez asks: a full disk is no reason to
 * restart. The others ask whether what is written is kept. */
static void answer_check(struct request *r, struct str path)
{
    struct buffer b = BUFFER_MAX(4096);
    bool verbose = operation_parameter(r->op, "verbose") != NULL;
    const char *name = path.p + 1;

    bool good = add_check(&b, "ping", NULL, "");
    if (!str_is(path, "/livez"))
        good = check_store(&b, r->api->options.store) && good;
    buffer_printf(&b, "%.*s check %s\n", (int)path.n - 1, name, good ? "passed" : "failed");
    request_add_header(r, "X-Content-Type-Options", "nosniff");
    request_reply(r, good ? 200 : 503, "text/plain; charset=utf-8", good && !verbose ? STR("ok") : buffer_str(&b));
    buffer_free(&b);
}

/* major and minor are the level of Kubernetes' conventions that is spoken here: kubectl compares its own with them. */
static void answer_version(struct request *r, struct str path)
{
    struct buffer b = BUFFER_MAX(1024);

    buffer_puts(&b, "{\"major\":\"1\",\"minor\":\"30\",\"gitVersion\":");
    _cleanup_buffer_ struct buffer text = BUFFER_MAX(256);
    buffer_printf(&text, "v1.30.0+open-hydra-%s", r->api->options.version);
    buffer_json_string(&b, buffer_str(&text));
    buffer_puts(&b,
                ",\"gitCommit\":\"\",\"gitTreeState\":\"\",\"buildDate\":\"\",\"goVersion\":\"\",\"compiler\":\"gcc\","
                "\"platform\":\"linux\"}\n");
    size_t n = b.n;
    request_reply_json(r, 200, buffer_steal(&b), n);
}

/* What there is now. */
static void write_gauges(const struct api *api, struct buffer *b)
{
    metrics_head(b, "open_hydra_api_watchers", "gauge", "Open watches.");
    for (size_t i = 0; i < api->resources_len; i++)
        buffer_printf(b, "open_hydra_api_watchers{resource=\"%s\"} %zu\n", api->resources[i].kind->plural,
                      watch_count(api->watches, i));
    metrics_head(b, "open_hydra_store_objects", "gauge", "Objects that there are.");
    for (size_t i = 0; i < api->resources_len; i++)
        buffer_printf(b, "open_hydra_store_objects{resource=\"%s\"} %zu\n", api->resources[i].kind->plural,
                      store_count(api->options.store, api->resources[i].kind->plural));
    metrics_head(b, "open_hydra_store_damaged_objects", "gauge",
                 "Objects that were set aside, as they cannot be read.");
    for (size_t i = 0; i < api->resources_len; i++)
        buffer_printf(b, "open_hydra_store_damaged_objects{resource=\"%s\"} %zu\n", api->resources[i].kind->plural,
                      store_damaged_count(api->options.store, api->resources[i].kind->plural));
    for (size_t i = 0; i < api->resources_len; i++)
        if (api->resources[i].hooks && api->resources[i].hooks->gauges)
            api->resources[i].hooks->gauges(b, api->options.context);
    struct store_log_size log = store_log_size(api->options.store);
    metrics_head(b, "open_hydra_store_log_events", "gauge", "Events that watches can resume from.");
    buffer_printf(b, "open_hydra_store_log_events %zu\n", log.events);
    metrics_head(b, "open_hydra_store_log_bytes", "gauge", "Memory that they keep, at most.");
    buffer_printf(b, "open_hydra_store_log_bytes %zu\n", log.bytes);
    metrics_head(b, "open_hydra_store_revision", "counter", "Revision of the last write.");
    buffer_printf(b, "open_hydra_store_revision %llu\n", (unsigned long long)store_revision(api->options.store));
}

static void answer_metrics(struct request *r, struct str path)
{
    struct buffer b = BUFFER_MAX((size_t)1 << 20);

    metrics_write(r->api->metrics, &b);
    write_gauges(r->api, &b);
    request_reply(r, 200, "text/plain; version=0.0.4; charset=utf-8", buffer_str(&b));
    buffer_free(&b);
}

static const struct {
    const char *path;
    bool public;
    void (*handle)(struct request *r, struct str path);
} paths[] = {
    {"/healthz", true, answer_check},   {"/livez", true, answer_check},      {"/readyz", true, answer_check},
    {"/version", true, answer_version}, {"/metrics", false, answer_metrics},
};

bool health_owns(struct str path, bool *public)
{
    for (size_t i = 0; i < ARRAY_SIZE(paths); i++)
        if (str_is(path, paths[i].path)) {
            *public = paths[i].public;
            return true;
        }
    return false;
}

void health_handle(struct request *r, struct str path)
{
    for (size_t i = 0; i < ARRAY_SIZE(paths); i++)
        if (str_is(path, paths[i].path))
            return paths[i].handle(r, path);
}
