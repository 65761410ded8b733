#pragma once

#include <stdbool.h>

#include "base/error.h"

/*
 * NVML, the management library of NVIDIA's driver, as far as we ask it. It comes with the driver and is loaded at run
 * time; its header is not needed to build. Prototypes, structures and numbers are those of the NVML API reference
 * (docs.nvidia.com/deploy/nvml-api: Initialization and Cleanup, System Queries, Device Queries, Multi Instance GPU
 * Management, Event Handling Methods), of which the ABI is kept under these names: what changes gets a new _vN.
 *
 * Any call may hang for as long as the driver does: one thread alone makes them (watch.c).
 */
enum nvml_return {
    NVML_SUCCESS = 0,
    NVML_UNINITIALIZED = 1,
    NVML_NOT_SUPPORTED = 3,
    NVML_NOT_FOUND = 6,
    NVML_INSUFFICIENT_SIZE = 7,
    NVML_DRIVER_NOT_LOADED = 9,
    NVML_TIMEOUT = 10,
    NVML_GPU_IS_LOST = 15,
    NVML_RESET_REQUIRED = 16,
    NVML_LIB_RM_VERSION_MISMATCH = 18,
};

typedef struct nvml_device *nvml_device;       /* nvmlDevice_t, of a GPU or of a MIG device */
typedef struct nvml_event_set *nvml_event_set; /* nvmlEventSet_t */

struct nvml_memory { /* nvmlMemory_t */
    unsigned long long total, free, used;
};
struct nvml_utilization { /* nvmlUtilization_t: percent of the last moments */
    unsigned gpu, memory;
};
struct nvml_process { /* nvmlProcessInfo_v2_t, which _v3 of the call fills in */
    unsigned pid;
    unsigned long long used; /* ULLONG_MAX: not available */
    unsigned gpu_instance, compute_instance;
};
struct nvml_event { /* nvmlEventData_t */
    nvml_device device;
    unsigned long long type, data;           /* data: of NVML_EVENT_XID its number */
    unsigned gpu_instance, compute_instance; /* NVML_ANY_INSTANCE: of the whole GPU */
};
#define NVML_EVENT_XID 0x8ull /* nvmlEventTypeXidCriticalError */
#define NVML_ANY_INSTANCE 0xFFFFFFFFu
#define NVML_TEXT 96 /* NVML_DEVICE_UUID_V2_BUFFER_SIZE, NVML_DEVICE_NAME_V2_BUFFER_SIZE */

/* name, arguments, whether every driver of the last years has it */
#define NVML_FUNCTIONS(F)                                                                                              \
    F(nvmlInit_v2, (void), true)                                                                                       \
    F(nvmlShutdown, (void), true)                                                                                      \
    F(nvmlSystemGetDriverVersion, (char *version, unsigned size), true)                                                \
    F(nvmlDeviceGetCount_v2, (unsigned *n), true)                                                                      \
    F(nvmlDeviceGetHandleByIndex_v2, (unsigned index, nvml_device *out), true)                                         \
    F(nvmlDeviceGetName, (nvml_device d, char *name, unsigned size), true)                                             \
    F(nvmlDeviceGetUUID, (nvml_device d, char *uuid, unsigned size), true)                                             \
    F(nvmlDeviceGetMinorNumber, (nvml_device d, unsigned *minor), true)                                                \
    F(nvmlDeviceGetMemoryInfo, (nvml_device d, struct nvml_memory * out), true)                                        \
    F(nvmlDeviceGetUtilizationRates, (nvml_device d, struct nvml_utilization * out), true)                             \
    F(nvmlDeviceGetComputeRunningProcesses_v3, (nvml_device d, unsigned *n, struct nvml_process *out), false)          \
    F(nvmlDeviceGetMigMode, (nvml_device d, unsigned *current, unsigned *pending), false)                              \
    F(nvmlDeviceGetMaxMigDeviceCount, (nvml_device d, unsigned *n), false)                                             \
    F(nvmlDeviceGetMigDeviceHandleByIndex, (nvml_device d, unsigned index, nvml_device *out), false)                   \
    F(nvmlDeviceGetGpuInstanceId, (nvml_device mig, unsigned *id), false)                                              \
    F(nvmlDeviceGetComputeInstanceId, (nvml_device mig, unsigned *id), false)                                          \
    F(nvmlEventSetCreate, (nvml_event_set * out), false)                                                               \
    F(nvmlDeviceGetSupportedEventTypes, (nvml_device d, unsigned long long *types), false)                             \
    F(nvmlDeviceRegisterEvents, (nvml_device d, unsigned long long types, nvml_event_set set), false)                  \
    F(nvmlEventSetWait_v2, (nvml_event_set set, struct nvml_event * out, unsigned timeout_ms), false)                  \
    F(nvmlEventSetFree, (nvml_event_set set), false)

struct nvml {
    void *handle;
    char *path; /* where it was found, links resolved */
#define NVML_MEMBER(name, arguments, needed) int(*name) arguments;
    NVML_FUNCTIONS(NVML_MEMBER)
#undef NVML_MEMBER
};

/* Loads and initialises it. `library` NULL: the loader finds it. NotFound: there is none, and so no driver of theirs;
 * ServiceUnavailable: there is one, which says why it does not serve. */
struct nvml *nvml_open(const char *library, struct error **err) _must_check_;
void nvml_close(struct nvml *n);
const char *nvml_text(int rc);
