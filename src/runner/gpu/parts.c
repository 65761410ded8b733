#include "runner/gpu/parts.h"

#include <limits.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/io.h"
#include "base/str.h"

#define MOST_FILES 16

/* Of the driver's libraries those that compute (measured: a CUDA process maps the first; PyTorch brings the rest of
 * CUDA along, and just-in-time kernels need the next), and what nvidia-smi asks. They bear the driver's version as
 * suffix; others load them by this name. */
static const struct {
    const char *name, *loaded_as; /* NULL: by its whole name */
} libraries[] = {
    {"libcuda.so", "libcuda.so.1"},
    {"libnvidia-ml.so", "libnvidia-ml.so.1"},
    {"libnvidia-ptxjitcompiler.so", "libnvidia-ptxjitcompiler.so.1"},
    {"libnvidia-nvvm.so", "libnvidia-nvvm.so.4"},
    {"libnvidia-gpucomp.so", NULL},
    {"libcudadebugger.so", "libcudadebugger.so.1"},
};

static void add_node(struct arena *a, struct gpu_parts *p, const char *name)
{
    if (p->nodes == NULL)
        p->nodes = arena_alloc(a, 4 * sizeof(*p->nodes));
    p->nodes[p->nodes_len++] = name;
}

void gpu_parts_own(struct arena *a, const struct gpu *g, struct gpu_parts *out)
{
    *out = (struct gpu_parts){0};
    add_node(a, out, arena_printf(a, "nvidia%u", g->minor));
    if (!g->is_part)
        return;
    add_node(a, out, arena_printf(a, "nvidia-caps/nvidia-cap%u", g->gpu_capability));
    add_node(a, out, arena_printf(a, "nvidia-caps/nvidia-cap%u", g->compute_capability));
}

static void add_file(struct gpu_parts *p, const char *source, const char *target)
{
    if (p->files_len < MOST_FILES)
        p->files[p->files_len++] = (struct gpu_file){source, target};
}

static void add_libraries(struct arena *a, const struct gpu_list *l, struct gpu_parts *p)
{
    const char *slash = strrchr(l->library, '/');

    for (size_t i = 0; i < ARRAY_SIZE(libraries); i++) {
        const char *file = arena_printf(a, "%s.%s", libraries[i].name, l->driver);
        const char *path = arena_printf(a, "%.*s/%s", (int)(slash - l->library), l->library, file);
        if (!path_exists(path))
            continue;
        add_file(p, path, arena_printf(a, GPU_LIBRARIES "/%s", file));
        if (libraries[i].loaded_as)
            add_file(p, path, arena_printf(a, GPU_LIBRARIES "/%s", libraries[i].loaded_as));
    }
}

static void add_tool(struct arena *a, const struct gpu_list *l, struct gpu_parts *p)
{
    const char *slash = strrchr(l->library, '/');
    const char *const places[] = {"/usr/bin/nvidia-smi",
                                  arena_printf(a, "%.*s/../bin/nvidia-smi", (int)(slash - l->library), l->library)};
    char resolved[PATH_MAX];

    for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
        if (realpath(places[i], resolved) == NULL)
            continue;
        add_file(p, arena_strdup(a, resolved), "/usr/bin/nvidia-smi");
        return;
    }
}

void gpu_parts_shared(struct arena *a, const struct gpu_list *l, struct gpu_parts *out)
{
    *out = (struct gpu_parts){.files = arena_alloc(a, MOST_FILES * sizeof(*out->files))};
    add_node(a, out, "nvidiactl");
    add_node(a, out, "nvidia-uvm");
    if (l->driver == NULL || l->library == NULL || strchr(l->library, '/') == NULL)
        return;
    add_libraries(a, l, out);
    add_tool(a, l, out);
}

int gpu_parts_check(const struct gpu_parts *p, const char *dev, struct error **err)
{
    for (size_t i = 0; i < p->nodes_len; i++) {
        _cleanup_free_ char *path = xasprintf("%s/%s", dev, p->nodes[i]);
        if (!path_exists(path))
            return error_set(err, REASON_INVALID, "there is no %s: load the driver's modules (nvidia-modprobe -u -c 0)",
                             path);
    }
    return 0;
}
