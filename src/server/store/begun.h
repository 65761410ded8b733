#pragma once

#include "base/error.h"

/*
 * A file beside the database that says that there is one. Where it lies and the database is missing or empty, something
 * went wrong (a disk that is not mounted, a backup put back by halves): a new one would be an installation without
 * users, whose first visitor becomes its administrator. Whoever means it says so by another file, which is used up.
 */
/* Before a database is begun. */
int begun_allows(const char *directory, struct error **err) _must_check_;
/* Once there is one; on the disk when it returns. */
int begun_note(const char *directory, struct error **err) _must_check_;
