#pragma once

#include "runner/gpu/gpu.h"
#include "runner/gpu/nvml.h"

/* One look at what the driver has. `proc`: where /proc is. 0, or what NVML said where it has to be opened anew
 * (NVML_UNINITIALIZED …): then the list is not to be used. A GPU that cannot be asked is in it with its state, if its
 * name is known. */
int inventory_look(const struct nvml *n, const char *proc, struct gpu_list *out);
/* Its handle; NULL: it is not there. */
nvml_device inventory_handle(const struct nvml *n, const struct gpu *g);
/* Whether that answer of NVML's concerns the driver rather than one GPU. */
bool nvml_is_over(int rc);
