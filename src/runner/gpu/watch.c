#include "runner/gpu/watch.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/log.h"
#include "base/thread.h"
#include "client/transport.h"
#include "runner/gpu/inventory.h"
#include "runner/gpu/use.h"
#include "runner/gpu/xid.h"

#define SECOND INT64_C(1000000)
#define WAIT_MS 1000           /* for errors that the driver tells of */
#define LOOK_US (5 * SECOND)   /* between two looks at all */
#define USE_US (15 * SECOND)   /* between two words about use */
#define OPEN_US (10 * SECOND)  /* until a driver is looked for again */
#define LOST_US (60 * SECOND)  /* until one that is missing is looked for again: the driver must be opened anew */
#define HANGS_US (20 * SECOND) /* in one call */
#define LEAVE_SECONDS 3        /* what hangs at the end is not waited for longer */
#define AVERAGED 12            /* looks: a minute */
#define USE_STEP (64ull << 20) /* less is no difference */

struct gpus {
    struct gpus_options o;
    pthread_t thread;
    bool started;

    pthread_mutex_t lock;
    struct gpu_list *now;
    struct gpu_uses uses;
    bool known, hangs;
    int64_t called_us; /* when it went into the driver; 0: it is not there */

    /* The thread's own. */
    struct nvml *nvml;
    nvml_event_set events;
    char *identity, *said;
    int64_t next_open_us, next_look_us, next_use_us, reopen_us;
};

/* --- What others see --- */

struct gpu_list *gpus_now(struct gpus *g)
{
    LOCK_SCOPE(&g->lock);
    return gpu_list_ref(g->now);
}

bool gpus_known(struct gpus *g)
{
    LOCK_SCOPE(&g->lock);
    return g->known;
}

bool gpus_use(struct gpus *g, const char *container, const char *gpu, uint64_t *memory_bytes, unsigned *processes)
{
    LOCK_SCOPE(&g->lock);
    bool known = false;

    *memory_bytes = *processes = 0;
    for (size_t i = 0; i < g->uses.n; i++) {
        const struct gpu_use *u = &g->uses.list[i];
        if (!streq(u->gpu, gpu))
            continue;
        known = true;
        if (!streq(u->container, container))
            continue;
        *memory_bytes = u->memory_bytes;
        *processes = u->processes;
        break;
    }
    return known;
}

static void tell(struct gpus *g)
{
    void (*changed)(void *arg);
    {
        LOCK_SCOPE(&g->lock);
        changed = g->o.changed;
    }
    if (changed)
        changed(g->o.arg);
}

/* Takes the list. */
static void publish(struct gpus *g, struct gpu_list *l)
{
    struct gpu_list *before;
    bool same;
    {
        LOCK_SCOPE(&g->lock);
        before = g->now;
        g->now = l;
        same = g->known && gpu_list_same(before, l);
        g->known = true;
    }
    gpu_list_unref(before);
    if (!same)
        tell(g);
}

static void go_into_driver(struct gpus *g, int64_t now_us)
{
    LOCK_SCOPE(&g->lock);
    g->called_us = now_us;
}

static void come_out_of_driver(struct gpus *g)
{
    LOCK_SCOPE(&g->lock);
    g->called_us = 0;
    g->hangs = false;
}

/* --- Nobody can be asked --- */

static void publish_unreachable(struct gpus *g, const char *why)
{
    _cleanup_gpu_list_ struct gpu_list *now = gpus_now(g);
    struct gpu_list *l = gpu_list_copy(now);

    free(l->message);
    l->message = xstrdup(why);
    for (size_t i = 0; i < l->n; i++)
        if (l->gpus[i].state == GPU_WELL || l->gpus[i].state == GPU_UNREACHABLE)
            gpu_set_state(&l->gpus[i], GPU_UNREACHABLE, why);
    publish(g, l);
}

void gpus_tick(struct gpus *g, int64_t now_us)
{
    {
        LOCK_SCOPE(&g->lock);
        if (g->called_us == 0 || g->hangs || now_us - g->called_us < HANGS_US)
            return;
        g->hangs = true;
    }
    log_warning("GPUs: the driver has not answered for %d s", (int)(HANGS_US / SECOND));
    publish_unreachable(g, "the driver does not answer");
}

/* --- The driver --- */

/* What tells this driver from another: the kernel module's version, and the file of the library. */
static char *identify(const struct gpus *g)
{
    _cleanup_free_ char *path = xasprintf("%s/driver/nvidia/version", g->o.proc);
    _cleanup_free_ char *version = read_file(path, 4096, NULL, NULL);
    struct stat st = {0};

    if (g->nvml)
        stat(g->nvml->path, &st);
    return xasprintf("%llu:%llu:%lld:%s", (unsigned long long)st.st_dev, (unsigned long long)st.st_ino,
                     (long long)st.st_mtime, version ? version : "");
}

static void close_driver(struct gpus *g)
{
    if (g->nvml && g->events)
        g->nvml->nvmlEventSetFree(g->events);
    nvml_close(g->nvml);
    g->nvml = NULL;
    g->events = NULL;
    free(g->identity);
    g->identity = NULL;
}

static void listen_for_errors(struct gpus *g)
{
    const struct nvml *n = g->nvml;
    nvml_device d;
    unsigned count = 0;

    if (!n->nvmlEventSetCreate || !n->nvmlEventSetWait_v2 || !n->nvmlEventSetFree || !n->nvmlDeviceRegisterEvents ||
        n->nvmlEventSetCreate(&g->events) != NVML_SUCCESS)
        return;
    n->nvmlDeviceGetCount_v2(&count);
    for (unsigned i = 0; i < count; i++) {
        unsigned long long types = 0;
        if (n->nvmlDeviceGetHandleByIndex_v2(i, &d) != NVML_SUCCESS)
            continue;
        if (n->nvmlDeviceGetSupportedEventTypes)
            n->nvmlDeviceGetSupportedEventTypes(d, &types);
        if (types & NVML_EVENT_XID)
            n->nvmlDeviceRegisterEvents(d, NVML_EVENT_XID, g->events);
    }
}

/* Said once, and again when it is something else. */
static void say(struct gpus *g, const char *what)
{
    if (!streq(g->said, what))
        log_warning("GPUs: %s", what);
    free(g->said);
    g->said = xstrdup(what);
}

static void no_driver(struct gpus *g, const struct error *why)
{
    if (why->reason == REASON_NOT_FOUND && g->o.library == NULL) {
        struct gpu_list *none = gpu_list_new(); /* a machine without a GPU */
        publish(g, none);
        return;
    }
    say(g, why->message);
    publish_unreachable(g, why->message);
}

static bool open_driver(struct gpus *g, int64_t now_us)
{
    _cleanup_error_ struct error *err = NULL;

    g->next_open_us = now_us + OPEN_US;
    g->nvml = nvml_open(g->o.library, &err);
    if (g->nvml == NULL) {
        no_driver(g, err);
        return false;
    }
    g->identity = identify(g);
    g->next_look_us = 0;
    g->reopen_us = now_us + LOST_US;
    listen_for_errors(g);
    return true;
}

/* --- Errors that it tells of --- */

static bool concerns(const struct gpu *g, const char *whole, const struct nvml_event *e)
{
    return streq(g->whole, whole) &&
           (!g->is_part || e->gpu_instance == NVML_ANY_INSTANCE ||
            (e->gpu_instance == g->gpu_instance &&
             (e->compute_instance == NVML_ANY_INSTANCE || e->compute_instance == g->compute_instance)));
}

static void note_xid(struct gpus *g, const struct nvml_event *e)
{
    const char *text = xid_needs_reset(e->data);
    char whole[NVML_TEXT] = "";

    if (g->nvml->nvmlDeviceGetUUID(e->device, whole, sizeof(whole)) != NVML_SUCCESS)
        return;
    whole[sizeof(whole) - 1] = '\0';
    log_warning("GPU %s: Xid %llu%s%s", whole, e->data, text ? ": " : "", text ? text : "");
    if (text == NULL)
        return;
    _cleanup_gpu_list_ struct gpu_list *now = gpus_now(g);
    _cleanup_free_ char *why = xasprintf("%s (Xid %llu): it must be reset", text, e->data);
    struct gpu_list *l = gpu_list_copy(now);
    for (size_t i = 0; i < l->n; i++)
        if (concerns(&l->gpus[i], whole, e))
            gpu_set_state(&l->gpus[i], GPU_NEEDS_RESET, why);
    publish(g, l);
}

/* Waits so long at most. */
static void await_errors(struct gpus *g, unsigned wait_ms)
{
    struct nvml_event e;

    if (g->events == NULL) {
        stop_wait(g->o.stop_fd, wait_ms);
        return;
    }
    while (g->nvml->nvmlEventSetWait_v2(g->events, &e, wait_ms) == NVML_SUCCESS) {
        if (e.type == NVML_EVENT_XID)
            note_xid(g, &e);
        wait_ms = 0;
    }
}

/* --- Looks --- */

static bool has_whole(const struct gpu_list *l, const char *whole)
{
    for (size_t i = 0; i < l->n; i++)
        if (streq(l->gpus[i].whole, whole))
            return true;
    return false;
}

static void average(struct gpu *g, const struct gpu *before)
{
    if (before && before->busy >= 0 && g->busy >= 0)
        g->busy = before->busy + (g->busy - before->busy) / AVERAGED;
}

/* What a look does not show: that one was there before, or must be reset. A part that was taken away by whoever divides
 * the GPU is not missing. */
static void remember(struct gpu_list *l, const struct gpu_list *before)
{
    for (size_t i = 0; i < before->n; i++) {
        const struct gpu *old = &before->gpus[i];
        struct gpu *g = gpu_list_find(l, old->id);
        if (g) {
            average(g, old);
            if (old->state == GPU_NEEDS_RESET && g->state == GPU_WELL)
                gpu_set_state(g, old->state, old->why);
        } else if (!has_whole(l, old->whole)) {
            g = gpu_list_add(l, old);
            gpu_set_state(g, GPU_LOST, "it is not there any more");
        }
    }
}

static bool some_are_lost(const struct gpu_list *l)
{
    for (size_t i = 0; i < l->n; i++)
        if (l->gpus[i].state == GPU_LOST)
            return true;
    return false;
}

static void say_lost(const struct gpu_list *l, const struct gpu_list *before)
{
    for (size_t i = 0; i < l->n; i++) {
        const struct gpu *old = gpu_list_find(before, l->gpus[i].id);
        if (old && old->state != l->gpus[i].state)
            log_warning("GPU %s: %s", l->gpus[i].id, l->gpus[i].why ? l->gpus[i].why : "well again");
    }
}

/* False: the driver has to be opened anew. */
static bool look(struct gpus *g, bool anew, int64_t now_us)
{
    _cleanup_gpu_list_ struct gpu_list *before = gpus_now(g);
    struct gpu_list *l = gpu_list_new();
    int rc = inventory_look(g->nvml, g->o.proc, l);

    g->next_look_us = now_us + LOOK_US;
    if (rc) {
        gpu_list_unref(l);
        say(g, nvml_text(rc));
        publish_unreachable(g, nvml_text(rc));
        return false;
    }
    if (!anew)
        remember(l, before);
    if (g->said) {
        free(g->said);
        g->said = NULL;
    }
    say_lost(l, before);
    publish(g, l);
    return true;
}

static bool same_uses(const struct gpu_uses *a, const struct gpu_uses *b)
{
    if (a->n != b->n)
        return false;
    for (size_t i = 0; i < a->n; i++)
        if (!streq(a->list[i].container, b->list[i].container) || !streq(a->list[i].gpu, b->list[i].gpu) ||
            a->list[i].processes != b->list[i].processes ||
            a->list[i].memory_bytes / USE_STEP != b->list[i].memory_bytes / USE_STEP)
            return false;
    return true;
}

static void look_at_use(struct gpus *g, int64_t now_us)
{
    _cleanup_gpu_list_ struct gpu_list *now = gpus_now(g);
    struct gpu_uses uses = {0}, before;

    if (now_us < g->next_use_us || now->n == 0)
        return;
    g->next_use_us = now_us + USE_US;
    gpu_uses_look(&uses, g->nvml, g->o.proc, now);
    bool same = same_uses(&uses, &g->uses); /* this thread alone changes it */
    {
        LOCK_SCOPE(&g->lock);
        before = g->uses;
        g->uses = uses;
    }
    gpu_uses_clear(&before);
    if (!same)
        tell(g);
}

/* Another driver now, or one of its GPUs may have come back. */
static bool is_to_be_opened_anew(struct gpus *g, int64_t now_us, bool *other)
{
    _cleanup_free_ char *identity = identify(g);
    _cleanup_gpu_list_ struct gpu_list *now = gpus_now(g);

    *other = !streq(identity, g->identity);
    return *other || (now_us >= g->reopen_us && some_are_lost(now));
}

static void look_again(struct gpus *g, int64_t now_us)
{
    bool anew = g->nvml == NULL, other = false;

    if (g->nvml && is_to_be_opened_anew(g, now_us, &other)) {
        if (other)
            log_info("GPUs: the driver is another one now");
        close_driver(g);
        anew = other;
    }
    if (g->nvml == NULL && !open_driver(g, now_us))
        return;
    if (look(g, anew, now_us))
        look_at_use(g, now_us);
    else
        close_driver(g);
}

/* --- Life --- */

void gpus_round(struct gpus *g, unsigned wait_ms, int64_t now_us)
{
    if (g->nvml == NULL && now_us < g->next_open_us) {
        stop_wait(g->o.stop_fd, wait_ms);
        return;
    }
    go_into_driver(g, now_us);
    if (g->nvml)
        await_errors(g, wait_ms);
    if (g->nvml == NULL || now_us >= g->next_look_us)
        look_again(g, now_us);
    come_out_of_driver(g);
}

static void *watch_gpus(void *arg)
{
    struct gpus *g = arg;

    while (!stop_said(g->o.stop_fd))
        gpus_round(g, WAIT_MS, clock_monotonic_us());
    close_driver(g);
    return NULL;
}

struct gpus *gpus_new(const struct gpus_options *options)
{
    struct gpus *g = xcalloc(1, sizeof(*g));

    g->o = *options;
    g->now = gpu_list_new();
    pthread_mutex_init(&g->lock, NULL);
    return g;
}

void gpus_start(struct gpus *g)
{
    g->started = true;
    g->thread = thread_start("gpus", watch_gpus, g);
}

static bool has_left(struct gpus *g)
{
    struct timespec until;

    if (!g->started)
        return true;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += LEAVE_SECONDS;
    return pthread_timedjoin_np(g->thread, NULL, &until) == 0;
}

void gpus_free(struct gpus *g)
{
    if (g == NULL)
        return;
    if (!has_left(g)) {
        log_warning("GPUs: the driver does not answer; its thread is left behind");
        LOCK_SCOPE(&g->lock);
        g->o.changed = NULL;
        pthread_detach(g->thread);
        return;
    }
    close_driver(g);
    gpu_list_unref(g->now);
    gpu_uses_clear(&g->uses);
    pthread_mutex_destroy(&g->lock);
    free(g->said);
    free(g);
}
