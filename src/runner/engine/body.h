#pragma once

#include "runner/engine/host.h"

/* What a container is made from: Podman's own form, which has mappings of ids, and Docker's. Both say the same
 * hardening. */
yyjson_mut_doc *engine_body(const struct engine *e, const struct runtime_spec *spec, const struct prepared *prepared);
/* Where the engine finds the profile of system calls. */
char *engine_seccomp_path(struct arena *a, const struct engine *e);
