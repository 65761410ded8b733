#include "runner/gpu/use.h"

#include <limits.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/io.h"
#include "base/str.h"

#define MOST_PROCESSES 1024

void gpu_uses_clear(struct gpu_uses *u)
{
    for (size_t i = 0; i < u->n; i++)
        free(u->list[i].gpu);
    free(u->list);
    *u = (struct gpu_uses){0};
}

static bool is_hexadecimal(char c)
{
    return ascii_isdigit(c) || (c >= 'a' && c <= 'f');
}

bool container_of_cgroup(const char *text, char out[CONTAINER_ID + 1])
{
    bool found = false;

    while (*text) {
        size_t n = 0;
        while (is_hexadecimal(text[n]))
            n++;
        if (n == CONTAINER_ID && !ascii_isalnum(text[n])) {
            memcpy(out, text, CONTAINER_ID);
            out[CONTAINER_ID] = '\0';
            found = true;
        }
        /* The rest of a word is no beginning. */
        text += n;
        while (ascii_isalnum(*text))
            text++;
        while (*text && !ascii_isalnum(*text))
            text++;
    }
    return found;
}

static struct gpu_use *use_of(struct gpu_uses *u, const char *container, const char *gpu)
{
    for (size_t i = 0; i < u->n; i++)
        if (streq(u->list[i].container, container) && streq(u->list[i].gpu, gpu))
            return &u->list[i];
    u->list = xreallocarray(u->list, u->n + 1, sizeof(*u->list));
    struct gpu_use *added = &u->list[u->n++];
    *added = (struct gpu_use){.gpu = xstrdup(gpu)};
    memcpy(added->container, container, sizeof(added->container));
    return added;
}

static void add_process(struct gpu_uses *u, const char *proc, const char *gpu, const struct nvml_process *p)
{
    _cleanup_free_ char *path = xasprintf("%s/%u/cgroup", proc, p->pid);
    _cleanup_free_ char *text = read_file(path, 65536, NULL, NULL);
    char container[CONTAINER_ID + 1];

    if (text == NULL || !container_of_cgroup(text, container))
        return;
    struct gpu_use *use = use_of(u, container, gpu);
    use->processes++;
    if (p->used != ULLONG_MAX)
        use->memory_bytes += p->used;
}

void gpu_uses_look(struct gpu_uses *u, const struct nvml *n, const char *proc, const struct gpu_list *l)
{
    struct nvml_process *list = xcalloc(MOST_PROCESSES, sizeof(*list));

    for (size_t i = 0; i < l->n && n->nvmlDeviceGetComputeRunningProcesses_v3; i++) {
        nvml_device d = l->gpus[i].state == GPU_WELL ? inventory_handle(n, &l->gpus[i]) : NULL;
        unsigned count = MOST_PROCESSES;
        if (d == NULL || n->nvmlDeviceGetComputeRunningProcesses_v3(d, &count, list) != NVML_SUCCESS)
            continue;
        for (unsigned k = 0; k < count && k < MOST_PROCESSES; k++)
            add_process(u, proc, l->gpus[i].id, &list[k]);
    }
    free(list);
}
