#pragma once

#include "base/arena.h"
#include "base/error.h"
#include "base/json.h"
#include "base/str.h"
#include "runner/gpu/gpu.h"

/*
 * Files of the Container Device Interface, by which an engine knows devices by name: an administrator's (nvidia-ctk
 * writes such a one), which say more than we could find out; and one of our own for what is in none of them.
 * Ours is of version 0.5.0, the lowest that knows names which begin with a digit, so that Podman 4.3 reads it
 * (github.com/cncf-tags/container-device-interface, SPEC.md).
 */
#define CDI_KIND "openhydra.io/gpu"

struct cdi_file {
    const char *kind;
    const char **devices;
    size_t devices_len;
};
/* Of JSON or YAML; everything lives in the arena. */
int cdi_read(struct arena *a, struct str text, struct cdi_file *out, struct error **err) _must_check_;

/* The name by which an administrator's file knows it («nvidia.com/gpu=GPU-…»), in the arena; NULL: none does. `folders`
 * are NULL-terminated. */
const char *cdi_find(struct arena *a, const char *const *folders, const struct gpu *g);

/* Our own file for all of them, where it is not there as it should be. Installations beside each other have names of
 * their own. */
int cdi_write(const char *folder, const char *installation, const struct gpu_list *l, struct error **err) _must_check_;
void cdi_remove(const char *folder, const char *installation);
const char *cdi_own_name(struct arena *a, const char *installation, const char *id);
/* The file's text; the caller frees. */
char *cdi_text(const char *installation, const struct gpu_list *l);
