#include "runner/gpu/nvml.h"

#include <dlfcn.h>
#include <limits.h>
#include <stdlib.h>

#include "base/alloc.h"

#define LIBRARY "libnvidia-ml.so.1"

const char *nvml_text(int rc)
{
    switch (rc) {
    case NVML_DRIVER_NOT_LOADED:
        return "the kernel module of the driver is not loaded";
    case NVML_LIB_RM_VERSION_MISMATCH:
        return "the driver's library and its kernel module are of different versions (load the new module, or restart "
               "the machine)";
    case NVML_GPU_IS_LOST:
        return "the GPU has fallen off the bus";
    case NVML_RESET_REQUIRED:
        return "the GPU must be reset";
    case NVML_UNINITIALIZED:
        return "the driver was restarted";
    default:
        return "the driver's library failed";
    }
}

static int find_functions(struct nvml *n, struct error **err)
{
    const char *missing = NULL;

#define FIND(name, arguments, needed)                                                                                  \
    *(void **)(&n->name) = dlsym(n->handle, #name);                                                                    \
    if (n->name == NULL && (needed))                                                                                   \
        missing = #name;
    NVML_FUNCTIONS(FIND)
#undef FIND
    return missing ? error_set(err, REASON_SERVICE_UNAVAILABLE, "%s has no %s", n->path, missing) : 0;
}

static char *path_of(void *handle, const char *name)
{
    char resolved[PATH_MAX];
    Dl_info info;
    void *any = dlsym(handle, "nvmlInit_v2");

    if (any && dladdr(any, &info) && info.dli_fname && realpath(info.dli_fname, resolved))
        return xstrdup(resolved);
    return xstrdup(name);
}

static int start_it(struct nvml *n, struct error **err)
{
    if (find_functions(n, err) < 0)
        return -1;
    int rc = n->nvmlInit_v2();
    return rc == NVML_SUCCESS ? 0 : error_set(err, REASON_SERVICE_UNAVAILABLE, "%s (NVML error %d)", nvml_text(rc), rc);
}

struct nvml *nvml_open(const char *library, struct error **err)
{
    const char *name = library ? library : LIBRARY;
    void *handle = dlopen(name, RTLD_NOW | RTLD_LOCAL);

    if (handle == NULL) {
        error_set(err, REASON_NOT_FOUND, "%s", dlerror());
        return NULL;
    }
    struct nvml *n = xcalloc(1, sizeof(*n));
    n->handle = handle;
    n->path = path_of(handle, name);
    if (start_it(n, err) == 0)
        return n;
    dlclose(handle);
    free(n->path);
    free(n);
    return NULL;
}

void nvml_close(struct nvml *n)
{
    if (n == NULL)
        return;
    n->nvmlShutdown();
    dlclose(n->handle);
    free(n->path);
    free(n);
}
