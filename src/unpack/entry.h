#pragma once

#include <archive_entry.h>
#include <sys/types.h>

#include "base/error.h"

/* What an entry may be: a file or a folder, whole and readable. All else is refused with what to do about it: who
 * unpacked a link would have a file that says something else in another place. */
int entry_check(struct archive_entry *e, struct error **err) _must_check_;
/* Who may write is the server alone, and nobody gets rights by a file: 0644, or 0755 for a program. */
mode_t entry_mode(struct archive_entry *e);
