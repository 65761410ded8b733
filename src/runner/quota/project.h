#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "runner/quota/pace.h"

/*
 * Project quotas: the file system itself counts what bears a number, and refuses what would be more than its limit
 * (quotactl(2); ext4 and XFS that are mounted with prjquota). New files take the number over from their folder. Whoever
 * is in a user namespace can neither change the number of a file nor have a file without it.
 */

/* Whether the file system of `fd` counts and limits so. */
bool project_quotas_at(int fd);
/* At most so many bytes for all that bears the number; 0: as many as there are. */
int project_limit(int fd, uint32_t id, uint64_t bytes, struct error **err) _must_check_;
/* `limit` 0: none. */
struct project_use {
    uint64_t bytes, files, limit;
};
int project_use(int fd, uint32_t id, struct project_use *out, struct error **err) _must_check_;

/* Whether a folder bears the number, and with it all that is in it (see project_mark). */
bool project_is_marked(int folder, uint32_t id);
/*
 * Gives the number to the folder and to all that is in it. A folder gets it after what is in it: so one that has it is
 * done, and what was interrupted is gone on with. Nobody else may move anything in it meanwhile. 1: done; 0: the pace
 * said that it is enough. What is too deep, or is not to be opened, is left out, and counted by nobody.
 */
int project_mark(int folder, uint32_t id, const struct pace *pace, struct error **err) _must_check_;
