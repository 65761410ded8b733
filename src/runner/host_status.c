#include "runner/host_status.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/statvfs.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "base/text.h"
#include "base/thread.h"
#include "client/informer.h"
#include "config/time_slicing.h"
#include "kinds/device.h"
#include "kinds/host.h"
#include "kinds/names.h"

#define SECOND INT64_C(1000000)
#define LOOK_MS 1000
#define WRITE_US (3 * SECOND)  /* not more often than that */
#define USE_US (60 * SECOND)   /* what changes all the time */
#define CHECK_US (30 * SECOND) /* whether it is still there */
#define MEMORY_STEP (64ull << 20)
#define PERCENT_STEP 5
#define DISK_STEPS 50 /* of a disk: less is no change */

struct host_status {
    const struct config *config;
    struct client *client;
    struct runtime *runtime;
    pthread_t thread;
    char *name;
    yyjson_doc *written; /* NULL: nothing yet */
    yyjson_doc *use;     /* id → what was used at last */
    int64_t next_write_us, next_use_us, next_check_us;
    bool alone; /* Hosts of other names were removed */
    struct informer *hosts;
    char *slicing; /* what was taken from our own at last; the informer's thread alone */
};

char *host_label(const char *name)
{
    char *out = xstrndup(name, strcspn(name, ".") < 63 ? strcspn(name, ".") : 63);
    size_t n = strlen(out);

    for (size_t i = 0; i < n; i++)
        out[i] = ascii_isalnum(out[i]) ? ascii_tolower(out[i]) : '-';
    while (n && out[n - 1] == '-')
        out[--n] = '\0';
    memmove(out, out + strspn(out, "-"), strlen(out) - strspn(out, "-") + 1);
    if (*out)
        return out;
    free(out);
    return xstrdup("localhost");
}

char *quantity_of(uint64_t bytes)
{
    uint64_t mib = bytes >> 20;
    return mib < 10240 ? xasprintf("%lluMi", (unsigned long long)mib)
                       : xasprintf("%lluGi", (unsigned long long)(mib >> 10));
}

/* --- What it says --- */

static void put_quantity(yyjson_mut_doc *d, yyjson_mut_val *status, const char *key, uint64_t bytes)
{
    _cleanup_free_ char *text = quantity_of(bytes);
    json_mut_set_str(d, status, key, text);
}

static void put_machine(const struct host_status *h, yyjson_mut_doc *d, yyjson_mut_val *status)
{
    long processors = sysconf(_SC_NPROCESSORS_ONLN), pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);
    struct statvfs disk;
    struct utsname kernel;

    if (processors > 0)
        json_mut_set_int(d, status, "cpu", processors);
    if (pages > 0 && size > 0)
        put_quantity(d, status, "memory", (uint64_t)pages * (uint64_t)size);
    if (uname(&kernel) == 0)
        json_mut_set_str(d, status, "kernel", kernel.release);
    /* The homes' folder is made with the first of them. */
    const char *homes = h->config->workspace_path;
    if ((homes == NULL || statvfs(homes, &disk) < 0) && statvfs(h->config->data, &disk) < 0)
        return;
    uint64_t step = disk.f_blocks / DISK_STEPS + 1;
    put_quantity(d, status, "disk", disk.f_blocks * disk.f_frsize);
    put_quantity(d, status, "diskFree", disk.f_bavail / step * step * disk.f_frsize);
}

/* The driver's own words. */
static void put_text(yyjson_mut_doc *d, yyjson_mut_val *obj, const char *key, const char *text)
{
    if (text == NULL)
        return;
    _cleanup_free_ char *plain = xstrdup(text);
    plain[text_clean(plain, strlen(plain), "")] = '\0';
    json_mut_set_str(d, obj, key, plain);
}

static void put_gpu(const struct host_status *h, yyjson_mut_doc *d, yyjson_mut_val *list, const struct runtime_gpu *g)
{
    yyjson_mut_val *one = yyjson_mut_arr_add_obj(d, list);
    yyjson_val *use = yyjson_obj_get(yyjson_doc_get_root(h->use), g->id), *key, *value;
    size_t i, max;

    json_mut_set_str(d, one, "id", g->id);
    json_mut_set_str(d, one, "resource", g->resource);
    put_text(d, one, "model", g->model);
    put_text(d, one, "driver", g->driver);
    json_mut_set_int(d, one, "memoryBytes", (int64_t)g->memory_bytes);
    json_mut_set_int(d, one, "units", g->units);
    json_mut_set_bool(d, one, "healthy", g->reason == NULL);
    json_mut_set_str(d, one, "reason", g->reason);
    put_text(d, one, "message", g->reason ? g->message : NULL);
    yyjson_obj_foreach (use, i, max, key, value)
        json_mut_set(d, one, yyjson_get_str(key), yyjson_val_mut_copy(d, value));
}

static yyjson_doc *use_now(const struct runtime_gpu *gpus, size_t n)
{
    _cleanup_json_mut_ yyjson_mut_doc *d = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *root = yyjson_mut_obj(d);

    yyjson_mut_doc_set_root(d, root);
    for (size_t i = 0; i < n; i++) {
        yyjson_mut_val *one = yyjson_mut_obj(d);
        json_mut_set_int(d, one, "memoryUsedBytes", (int64_t)(gpus[i].memory_used / MEMORY_STEP * MEMORY_STEP));
        if (gpus[i].utilization >= 0)
            json_mut_set_int(d, one, "utilization", gpus[i].utilization / PERCENT_STEP * PERCENT_STEP);
        json_mut_set(d, root, gpus[i].id, one);
    }
    return yyjson_mut_doc_imut_copy(d, NULL);
}

static void put_gpus(struct host_status *h, struct arena *a, yyjson_mut_doc *d, yyjson_mut_val *status, int64_t now_us)
{
    yyjson_mut_val *list = yyjson_mut_arr(d);
    struct runtime_gpu *gpus;
    size_t n = 0;

    if (h->runtime->ops->gpus)
        h->runtime->ops->gpus(h->runtime, a, &gpus, &n);
    if (n && now_us >= h->next_use_us) {
        h->next_use_us = now_us + USE_US;
        yyjson_doc_free(h->use);
        h->use = use_now(gpus, n);
    }
    for (size_t i = 0; i < n && i < HOST_GPUS_MAX; i++)
        put_gpu(h, d, list, &gpus[i]);
    json_mut_set(d, status, "gpus", list);
}

/* NULL: not all is known yet. */
static yyjson_doc *status_now(struct host_status *h, int64_t now_us)
{
    _cleanup_arena_ struct arena *a = arena_new();
    yyjson_mut_doc *d = json_mut_new(a);
    yyjson_mut_val *status = yyjson_mut_obj(d);
    struct runtime_about about = {.gpus_known = true};

    yyjson_mut_doc_set_root(d, status);
    if (h->runtime->ops->about)
        h->runtime->ops->about(h->runtime, a, &about);
    if (!about.gpus_known)
        return NULL;
    put_machine(h, d, status);
    json_mut_set_str(d, status, "engine", about.engine);
    put_text(d, status, "message", about.gpus_message);
    put_gpus(h, a, d, status, now_us);
    return yyjson_mut_doc_imut_copy(d, NULL);
}

/* --- Writing --- */

static yyjson_mut_doc *object_of(const struct host_status *h, const char *key, yyjson_val *value)
{
    yyjson_mut_doc *d = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *root = yyjson_mut_obj(d);

    yyjson_mut_doc_set_root(d, root);
    json_mut_set_str(d, root, "apiVersion", GROUP_VERSION);
    json_mut_set_str(d, root, "kind", "Host");
    json_mut_set_str(d, json_mut_make_obj(d, root, "metadata"), "name", h->name);
    json_mut_set(d, root, key, value ? yyjson_val_mut_copy(d, value) : yyjson_mut_obj(d));
    return d;
}

static int create(const struct host_status *h, struct error **err)
{
    _cleanup_json_mut_ yyjson_mut_doc *body = object_of(h, "spec", NULL);
    return client_call(h->client, &(struct client_request){"POST", PLURAL_HOSTS, NULL, body}, NULL, err);
}

static int put_status(const struct host_status *h, yyjson_doc *status, struct error **err)
{
    _cleanup_json_mut_ yyjson_mut_doc *body = object_of(h, "status", yyjson_doc_get_root(status));
    _cleanup_free_ char *path = xasprintf(PLURAL_HOSTS "/%s/status", h->name);
    return client_call(h->client, &(struct client_request){"PUT", path, NULL, body}, NULL, err);
}

static int write_status(const struct host_status *h, yyjson_doc *status, struct error **err)
{
    _cleanup_error_ struct error *why = NULL;

    if (put_status(h, status, &why) == 0)
        return 0;
    if (why->reason != REASON_NOT_FOUND)
        return error_set(err, why->reason, "%s", why->message);
    return create(h, err) < 0 ? -1 : put_status(h, status, err);
}

/* One runner for each installation: another name is one that this machine had before. */
static void remove_others(struct host_status *h)
{
    _cleanup_json_ yyjson_doc *list = NULL;
    size_t i, max;
    yyjson_val *one;

    if (h->alone || client_call(h->client, &(struct client_request){"GET", PLURAL_HOSTS, NULL, NULL}, &list, NULL) < 0)
        return;
    h->alone = true;
    yyjson_arr_foreach (json_at(yyjson_doc_get_root(list), "items"), i, max, one) {
        const char *name = json_str_at(one, "metadata.name");
        if (name == NULL || streq(name, h->name) || !is_dns_subdomain(str_from(name)))
            continue;
        _cleanup_free_ char *path = xasprintf(PLURAL_HOSTS "/%s", name);
        log_info("this machine was host %s before: removed", name);
        if (client_call(h->client, &(struct client_request){"DELETE", path, NULL, NULL}, NULL, NULL) < 0)
            h->alone = false;
    }
}

static bool is_gone(struct host_status *h, int64_t now_us)
{
    if (h->written == NULL || now_us < h->next_check_us)
        return false;
    h->next_check_us = now_us + CHECK_US;
    return client_is_gone(h->client, &(struct object_ref){PLURAL_HOSTS, h->name, NULL}, NULL);
}

static void look(struct host_status *h, int64_t now_us)
{
    _cleanup_json_ yyjson_doc *now = now_us >= h->next_write_us ? status_now(h, now_us) : NULL;
    _cleanup_error_ struct error *err = NULL;

    if (now == NULL)
        return;
    bool same = h->written && json_equal(yyjson_doc_get_root(now), yyjson_doc_get_root(h->written));
    if (same && !is_gone(h, now_us))
        return;
    h->next_write_us = now_us + WRITE_US;
    if (write_status(h, now, &err) < 0) {
        if (err->reason != REASON_SERVICE_UNAVAILABLE && !stop_said(client_stop_fd(h->client)))
            log_warning("host %s: %s", h->name, err->message);
        return;
    }
    yyjson_doc_free(h->written);
    h->written = steal_ptr(now);
    remove_others(h);
}

/* --- What it is told --- */

/* In the form of the file that the configuration names. NULL: nothing is said. */
static char *slicing_text(yyjson_val *host)
{
    yyjson_val *data = json_at(host, "spec.gpuTimeSlicing");
    size_t n;

    if (yyjson_obj_size(data) == 0)
        return NULL;
    _cleanup_free_ char *text = json_write(data, &n);
    return xasprintf("{\"kind\":\"ConfigMap\",\"data\":%s}", text);
}

/* What is wrong was refused by the server; from one that was taken over it is, and what was before goes on. */
static void share_gpus(struct host_status *h, const char *text)
{
    _cleanup_error_ struct error *err = NULL;
    struct time_slicing *slicing = text ? time_slicing_parse(str_from(text), "gpuTimeSlicing", &err) : NULL;

    if (text && slicing == NULL)
        log_warning("host %s: %s", h->name, err->message);
    else
        h->runtime->ops->share_gpus(h->runtime, slicing);
}

static void take_slicing(void *arg, const char *name)
{
    struct host_status *h = arg;
    _cleanup_cached_ struct cached *host = streq(name, h->name) ? informer_get(h->hosts, name) : NULL;

    if (host == NULL || h->runtime->ops->share_gpus == NULL)
        return;
    char *text = slicing_text(host->object);
    if (same_text(text, h->slicing)) {
        free(text);
        return;
    }
    free(h->slicing);
    h->slicing = text;
    share_gpus(h, text);
}

static void ignore_connected(void *arg)
{
}

static void ignore_lost(void *arg, const char *message)
{
}

/* --- Life --- */

static void *say_how_it_is(void *arg)
{
    struct host_status *h = arg;

    while (!stop_wait(client_stop_fd(h->client), LOOK_MS))
        look(h, clock_monotonic_us());
    return NULL;
}

struct host_status *host_status_start(const struct config *c, struct client *client, struct runtime *runtime)
{
    struct host_status *h = xcalloc(1, sizeof(*h));
    char name[256] = "";

    *h = (struct host_status){.config = c, .client = client, .runtime = runtime};
    gethostname(name, sizeof(name) - 1);
    h->name = host_label(name);
    h->hosts = informer_new(&(struct informer_options){.client = client,
                                                       .plural = PLURAL_HOSTS,
                                                       .changed = take_slicing,
                                                       .connected = ignore_connected,
                                                       .lost = ignore_lost,
                                                       .arg = h});
    informer_start(h->hosts);
    h->thread = thread_start("host", say_how_it_is, h);
    return h;
}

void host_status_stop(struct host_status *h)
{
    pthread_join(h->thread, NULL);
    informer_free(h->hosts);
    free(h->slicing);
    yyjson_doc_free(h->written);
    yyjson_doc_free(h->use);
    free(h->name);
    free(h);
}
