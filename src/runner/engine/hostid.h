#pragma once

#include "config/config.h"

/* Whether a user may get the range of host ids that begins at `host_id`: aligned, inside the configured span, not the
 * first range (the service users'), and given to nobody in `subordinate` (files like /etc/subuid, NULL-terminated). */
int host_id_check(const struct config *c, uint32_t host_id, const char *const *subordinate, struct error **err)
    _must_check_;
extern const char *const system_subordinate_files[];
