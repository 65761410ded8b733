/*
 * An NVML that has what a file says, for tests on machines without a GPU: the same names behind the same dlopen. The
 * file that FAKE_NVML names is read again at every call, so that a test changes the world by writing it anew:
 *
 *     driver VERSION
 *     gpu ID MINOR BYTES NAME...
 *     mig ID WHOLE-ID GPU-INSTANCE COMPUTE-INSTANCE BYTES NAME...    (a GPU that has some is divided)
 *     busy ID PERCENT
 *     process ID PID BYTES
 *     lost ID              it has fallen off the bus
 *     xid ID NUMBER        told once, if the line came after the event set was made
 *     fail NUMBER          what every call returns
 *     hang MILLISECONDS    what every call takes
 */
#include <limits.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runner/gpu/nvml.h"

#define MOST 64
#define PUBLIC __attribute__((visibility("default")))

struct fake_gpu {
    char id[NVML_TEXT], whole[NVML_TEXT], name[NVML_TEXT];
    unsigned minor, gi, ci, busy;
    unsigned long long bytes;
    bool lost, is_part;
};
struct fake_process {
    char id[NVML_TEXT];
    unsigned pid;
    unsigned long long bytes;
};
struct fake_xid {
    char id[NVML_TEXT];
    unsigned number;
};
static struct world {
    char driver[NVML_TEXT];
    struct fake_gpu gpus[MOST];
    struct fake_process processes[MOST];
    struct fake_xid xids[MOST];
    unsigned gpus_len, processes_len, xids_len, hang_ms;
    int fail;
} world;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static bool initialised;
static unsigned told; /* of the xids */
static char handles[MOST][NVML_TEXT]; /* a device is the place of its id */

static struct fake_gpu *find(const char *id)
{
    for (unsigned i = 0; i < world.gpus_len; i++)
        if (strcmp(world.gpus[i].id, id) == 0)
            return &world.gpus[i];
    return NULL;
}

static void read_gpu(const char *line, bool part)
{
    struct fake_gpu *g = &world.gpus[world.gpus_len];
    int n = part ? sscanf(line, "%95s %95s %u %u %llu %95[^\n]", g->id, g->whole, &g->gi, &g->ci, &g->bytes, g->name)
                 : sscanf(line, "%95s %u %llu %95[^\n]", g->id, &g->minor, &g->bytes, g->name);

    g->is_part = part;
    if (n == (part ? 6 : 4) && world.gpus_len + 1 < MOST)
        world.gpus_len++;
}

static void read_line(char *line)
{
    char word[16] = "", id[NVML_TEXT] = "";
    unsigned long long a = 0, b = 0;
    int at = 0;

    sscanf(line, "%15s %n", word, &at);
    const char *rest = line + at;
    sscanf(rest, "%95s %llu %llu", id, &a, &b);
    struct fake_gpu *g = find(id);
    if (strcmp(word, "driver") == 0)
        snprintf(world.driver, sizeof(world.driver), "%s", id);
    else if (strcmp(word, "gpu") == 0 || strcmp(word, "mig") == 0)
        read_gpu(rest, *word == 'm');
    else if (strcmp(word, "busy") == 0 && g)
        g->busy = (unsigned)a;
    else if (strcmp(word, "lost") == 0 && g)
        g->lost = true;
    else if (strcmp(word, "process") == 0 && world.processes_len < MOST) {
        struct fake_process *p = &world.processes[world.processes_len++];
        memcpy(p->id, id, sizeof(p->id));
        p->pid = (unsigned)a;
        p->bytes = b;
    } else if (strcmp(word, "xid") == 0 && world.xids_len < MOST) {
        struct fake_xid *x = &world.xids[world.xids_len++];
        memcpy(x->id, id, sizeof(x->id));
        x->number = (unsigned)a;
    } else if (strcmp(word, "fail") == 0) {
        world.fail = atoi(id);
    } else if (strcmp(word, "hang") == 0) {
        world.hang_ms = (unsigned)atoi(id);
    }
}

/* Under the lock. What the call is to return at once; 0: it goes on. */
static int read_world(void)
{
    const char *path = getenv("FAKE_NVML");
    FILE *f = path ? fopen(path, "re") : NULL;
    char line[512];

    if (f == NULL)
        return NVML_DRIVER_NOT_LOADED;
    memset(&world, 0, sizeof(world));
    while (fgets(line, sizeof(line), f))
        read_line(line);
    fclose(f);
    return world.fail;
}

static int enter(void)
{
    pthread_mutex_lock(&lock);
    int rc = read_world();
    unsigned hang = world.hang_ms;
    if (rc == 0 && !initialised)
        rc = NVML_UNINITIALIZED;
    if (hang) {
        pthread_mutex_unlock(&lock);
        usleep(hang * 1000);
        pthread_mutex_lock(&lock);
    }
    return rc;
}

static int leave(int rc)
{
    pthread_mutex_unlock(&lock);
    return rc;
}

static nvml_device handle_of(const char *id)
{
    unsigned i = 0;

    while (i < MOST - 1 && handles[i][0] && strcmp(handles[i], id) != 0)
        i++;
    snprintf(handles[i], sizeof(handles[i]), "%s", id);
    return (nvml_device)(void *)handles[i];
}

static int gpu_of(nvml_device d, struct fake_gpu **out)
{
    *out = find((const char *)(void *)d);
    if (*out == NULL)
        return NVML_NOT_FOUND;
    const struct fake_gpu *whole = (*out)->is_part ? find((*out)->whole) : *out;
    return (*out)->lost || whole == NULL || whole->lost ? NVML_GPU_IS_LOST : NVML_SUCCESS;
}

/* The index-th whole one, or the index-th part of one; NULL: there is none. */
static struct fake_gpu *nth(const char *whole, unsigned index)
{
    for (unsigned i = 0; i < world.gpus_len; i++) {
        struct fake_gpu *g = &world.gpus[i];
        if (g->is_part == (whole != NULL) && (whole == NULL || strcmp(g->whole, whole) == 0) && index-- == 0)
            return g;
    }
    return NULL;
}

static int copy_text(const char *text, char *out, unsigned size)
{
    if (strlen(text) >= size)
        return NVML_INSUFFICIENT_SIZE;
    memcpy(out, text, strlen(text) + 1);
    return NVML_SUCCESS;
}

/* Calls of a device: the body sees `g`, and sets `rc` where it goes wrong. */
#define ON_DEVICE(call, ...)                                                                                           \
    struct fake_gpu *g;                                                                                                \
    int rc = enter();                                                                                                  \
    if (rc == 0)                                                                                                       \
        rc = gpu_of(call, &g);                                                                                         \
    if (rc == 0) {                                                                                                     \
        __VA_ARGS__;                                                                                                   \
    }                                                                                                                  \
    return leave(rc)

#define DECLARE(name, arguments, needed) PUBLIC int name arguments;
NVML_FUNCTIONS(DECLARE)

int nvmlInit_v2(void)
{
    pthread_mutex_lock(&lock);
    int rc = read_world();
    initialised = rc == 0;
    return leave(rc);
}

int nvmlShutdown(void)
{
    pthread_mutex_lock(&lock);
    initialised = false;
    return leave(NVML_SUCCESS);
}

int nvmlSystemGetDriverVersion(char *version, unsigned size)
{
    int rc = enter();
    return leave(rc ? rc : copy_text(world.driver, version, size));
}

int nvmlDeviceGetCount_v2(unsigned *n)
{
    int rc = enter();

    for (*n = 0; rc == 0 && nth(NULL, *n);)
        ++*n;
    return leave(rc);
}

int nvmlDeviceGetHandleByIndex_v2(unsigned index, nvml_device *out)
{
    int rc = enter();
    const struct fake_gpu *g = rc ? NULL : nth(NULL, index);

    if (g == NULL || g->lost)
        return leave(rc ? rc : g ? NVML_GPU_IS_LOST : NVML_NOT_FOUND);
    *out = handle_of(g->id);
    return leave(NVML_SUCCESS);
}

int nvmlDeviceGetName(nvml_device d, char *name, unsigned size)
{
    ON_DEVICE(d, rc = copy_text(g->name, name, size));
}

int nvmlDeviceGetUUID(nvml_device d, char *uuid, unsigned size)
{
    int rc = enter();
    return leave(rc ? rc : copy_text((const char *)(void *)d, uuid, size));
}

int nvmlDeviceGetMinorNumber(nvml_device d, unsigned *minor)
{
    ON_DEVICE(d, *minor = g->minor);
}

static unsigned long long used_of(const char *id)
{
    unsigned long long used = 0;

    for (unsigned i = 0; i < world.processes_len; i++)
        if (strcmp(world.processes[i].id, id) == 0)
            used += world.processes[i].bytes;
    return used;
}

int nvmlDeviceGetMemoryInfo(nvml_device d, struct nvml_memory *out)
{
    ON_DEVICE(d, *out = ((struct nvml_memory){g->bytes, g->bytes - used_of(g->id), used_of(g->id)}));
}

int nvmlDeviceGetUtilizationRates(nvml_device d, struct nvml_utilization *out)
{
    ON_DEVICE(d, *out = ((struct nvml_utilization){g->busy, 0}); rc = g->is_part ? NVML_NOT_SUPPORTED : rc);
}

int nvmlDeviceGetComputeRunningProcesses_v3(nvml_device d, unsigned *n, struct nvml_process *out)
{
    unsigned most = *n;

    *n = 0;
    ON_DEVICE(d, for (unsigned i = 0; i < world.processes_len && *n < most; i++) if (strcmp(world.processes[i].id, g->id) == 0)
                     out[(*n)++] = ((struct nvml_process){.pid = world.processes[i].pid, .used = world.processes[i].bytes}));
}

int nvmlDeviceGetMigMode(nvml_device d, unsigned *current, unsigned *pending)
{
    ON_DEVICE(d, *current = *pending = nth(g->id, 0) != NULL);
}

int nvmlDeviceGetMaxMigDeviceCount(nvml_device d, unsigned *n)
{
    ON_DEVICE(d, *n = 7);
}

int nvmlDeviceGetMigDeviceHandleByIndex(nvml_device d, unsigned index, nvml_device *out)
{
    ON_DEVICE(d, const struct fake_gpu *part = nth(g->id, index); if (part) *out = handle_of(part->id);
              else rc = NVML_NOT_FOUND);
}

int nvmlDeviceGetGpuInstanceId(nvml_device d, unsigned *id)
{
    ON_DEVICE(d, *id = g->gi);
}

int nvmlDeviceGetComputeInstanceId(nvml_device d, unsigned *id)
{
    ON_DEVICE(d, *id = g->ci);
}

int nvmlEventSetCreate(nvml_event_set *out)
{
    int rc = enter();

    told = world.xids_len;
    *out = (nvml_event_set)(void *)&told;
    return leave(rc);
}

int nvmlDeviceGetSupportedEventTypes(nvml_device d, unsigned long long *types)
{
    ON_DEVICE(d, *types = 0xff9f);
}

int nvmlDeviceRegisterEvents(nvml_device d, unsigned long long types, nvml_event_set set)
{
    ON_DEVICE(d, rc = types == NVML_EVENT_XID && set ? 0 : NVML_NOT_SUPPORTED);
}

int nvmlEventSetWait_v2(nvml_event_set set, struct nvml_event *out, unsigned timeout_ms)
{
    for (unsigned waited = 0;; waited += 10) {
        int rc = enter();
        if (rc == 0 && told < world.xids_len) {
            const struct fake_xid *x = &world.xids[told++];
            *out = (struct nvml_event){handle_of(x->id), NVML_EVENT_XID, x->number, NVML_ANY_INSTANCE, NVML_ANY_INSTANCE};
            return leave(NVML_SUCCESS);
        }
        leave(rc);
        if (rc || waited >= timeout_ms)
            return rc ? rc : NVML_TIMEOUT;
        usleep(10000);
    }
}

int nvmlEventSetFree(nvml_event_set set)
{
    return set ? NVML_SUCCESS : NVML_NOT_FOUND;
}
