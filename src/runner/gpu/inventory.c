#include "runner/gpu/inventory.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/io.h"
#include "base/str.h"

#define MOST_GPUS 64
#define MOST_PARTS 16

bool nvml_is_over(int rc)
{
    return rc == NVML_UNINITIALIZED || rc == NVML_DRIVER_NOT_LOADED || rc == NVML_LIB_RM_VERSION_MISMATCH;
}

/* --- Capabilities of parts --- */

/* «DeviceFileMinor: 12» of /proc/driver/nvidia/capabilities/gpuN/mig/giG[/ciC]/access. */
static unsigned read_capability(const char *proc, const struct gpu *g, bool compute)
{
    static const char key[] = "DeviceFileMinor:";
    _cleanup_free_ char *ci = compute ? xasprintf("/ci%u", g->compute_instance) : xstrdup("");
    _cleanup_free_ char *path =
        xasprintf("%s/driver/nvidia/capabilities/gpu%u/mig/gi%u%s/access", proc, g->minor, g->gpu_instance, ci);
    _cleanup_free_ char *text = read_file(path, 4096, NULL, NULL);
    const char *found = text ? strstr(text, key) : NULL;
    unsigned long long minor = 0;

    if (found == NULL)
        return 0;
    found += strlen(key);
    struct str line = str_trim((struct str){found, strcspn(found, "\n")});
    return str_to_u64(line, 0xFFFFF, &minor) == 0 ? (unsigned)minor : 0;
}

/* --- One GPU --- */

struct looking {
    const struct nvml *n;
    const char *proc;
    struct gpu_list *out;
    int over; /* NVML's word that ends the look */
};

/* Remembers what concerns all. True: it was said. */
static bool took(struct looking *l, int rc)
{
    if (nvml_is_over(rc))
        l->over = rc;
    return rc == NVML_SUCCESS;
}

static bool read_texts(struct looking *l, nvml_device d, char id[NVML_TEXT], char model[NVML_TEXT])
{
    if (!took(l, l->n->nvmlDeviceGetUUID(d, id, NVML_TEXT)))
        return false;
    if (!took(l, l->n->nvmlDeviceGetName(d, model, NVML_TEXT)))
        *model = '\0';
    id[NVML_TEXT - 1] = model[NVML_TEXT - 1] = '\0';
    return *id != '\0';
}

static void read_use(struct looking *l, nvml_device d, struct gpu *g)
{
    struct nvml_memory m = {0};
    struct nvml_utilization u = {0};
    int rc = l->n->nvmlDeviceGetMemoryInfo(d, &m);

    if (took(l, rc)) {
        g->memory_bytes = m.total;
        g->memory_used = m.used;
    } else if (rc == NVML_GPU_IS_LOST || rc == NVML_RESET_REQUIRED) {
        gpu_set_state(g, rc == NVML_GPU_IS_LOST ? GPU_LOST : GPU_NEEDS_RESET, nvml_text(rc));
    }
    g->busy = !g->is_part && took(l, l->n->nvmlDeviceGetUtilizationRates(d, &u)) ? (double)u.gpu : -1;
}

/* --- Its parts --- */

static bool read_instances(struct looking *l, nvml_device d, struct gpu *g)
{
    return l->n->nvmlDeviceGetGpuInstanceId && l->n->nvmlDeviceGetComputeInstanceId &&
           took(l, l->n->nvmlDeviceGetGpuInstanceId(d, &g->gpu_instance)) &&
           took(l, l->n->nvmlDeviceGetComputeInstanceId(d, &g->compute_instance));
}

static void add_part(struct looking *l, const struct gpu *whole, unsigned part, nvml_device d)
{
    char id[NVML_TEXT], model[NVML_TEXT];
    struct gpu g = {.index = whole->index, .part = part, .minor = whole->minor, .is_part = true};

    if (!read_texts(l, d, id, model) || !read_instances(l, d, &g))
        return;
    g.id = id;
    g.model = model;
    g.whole = whole->id;
    g.gpu_capability = read_capability(l->proc, &g, false);
    g.compute_capability = read_capability(l->proc, &g, true);
    read_use(l, d, gpu_list_add(l->out, &g));
}

static void add_parts(struct looking *l, const struct gpu *whole, nvml_device d)
{
    unsigned most = 0;

    if (l->n->nvmlDeviceGetMaxMigDeviceCount == NULL || l->n->nvmlDeviceGetMigDeviceHandleByIndex == NULL ||
        !took(l, l->n->nvmlDeviceGetMaxMigDeviceCount(d, &most)))
        return;
    for (unsigned i = 0; i < most && i < MOST_PARTS; i++) {
        nvml_device part;
        if (took(l, l->n->nvmlDeviceGetMigDeviceHandleByIndex(d, i, &part)))
            add_part(l, whole, i, part);
    }
}

/* A GPU that is divided is no more given as a whole: programs see its parts alone. */
static bool is_divided(struct looking *l, nvml_device d)
{
    unsigned current = 0, pending = 0;

    return l->n->nvmlDeviceGetMigMode && took(l, l->n->nvmlDeviceGetMigMode(d, &current, &pending)) && current == 1;
}

static void add_gpu(struct looking *l, unsigned index)
{
    char id[NVML_TEXT], model[NVML_TEXT];
    struct gpu g = {.index = index};
    nvml_device d;

    if (!took(l, l->n->nvmlDeviceGetHandleByIndex_v2(index, &d)) || !read_texts(l, d, id, model) ||
        !took(l, l->n->nvmlDeviceGetMinorNumber(d, &g.minor)))
        return;
    g.id = g.whole = id;
    g.model = model;
    if (is_divided(l, d))
        add_parts(l, &g, d);
    else
        read_use(l, d, gpu_list_add(l->out, &g));
}

int inventory_look(const struct nvml *n, const char *proc, struct gpu_list *out)
{
    struct looking l = {.n = n, .proc = proc, .out = out};
    char version[NVML_TEXT] = "";
    unsigned count = 0;

    if (took(&l, n->nvmlSystemGetDriverVersion(version, sizeof(version))))
        out->driver = xstrdup(version);
    out->library = xstrdup(n->path);
    if (l.over || !took(&l, n->nvmlDeviceGetCount_v2(&count)))
        return l.over;
    for (unsigned i = 0; i < count && i < MOST_GPUS && !l.over; i++)
        add_gpu(&l, i);
    return l.over;
}

nvml_device inventory_handle(const struct nvml *n, const struct gpu *g)
{
    nvml_device d, part;

    if (n->nvmlDeviceGetHandleByIndex_v2(g->index, &d) != NVML_SUCCESS)
        return NULL;
    if (!g->is_part)
        return d;
    return n->nvmlDeviceGetMigDeviceHandleByIndex(d, g->part, &part) == NVML_SUCCESS ? part : NULL;
}
