#pragma once

#include <stddef.h>

#include "base/error.h"
#include "base/str.h"

/*
 * How many environments may share a GPU, as a file for NVIDIA's device plugin says it: the ConfigMap of the GPU operator,
 * whose `data` holds a configuration for "any" GPU and others for single models, or one such configuration alone:
 *
 *     version: v1
 *     sharing:
 *       timeSlicing:
 *         resources:
 *         - name: nvidia.com/gpu
 *           replicas: 4
 *
 * A key of `data` means the models that have each of its words in their name, in that order, whatever the case
 * ("a100-40gb": «NVIDIA A100-SXM4-40GB»); of several the one with the most words counts, and "any" or "default" where
 * none does. What would be shared otherwise than is said (mps, single devices, renamed resources) is refused.
 */
#define TIME_SLICING_MAX 256 /* replicas */

struct time_slicing;
/* `file` is named in errors, with the field. */
struct time_slicing *time_slicing_parse(struct str yaml, const char *file, struct error **err) _must_check_;
void time_slicing_free(struct time_slicing *s);
/* 1 to TIME_SLICING_MAX; 1 where nothing is said, or `s` is NULL. */
unsigned time_slicing_replicas(const struct time_slicing *s, const char *resource, const char *model);
