#pragma once

#include <stdbool.h>

/* Whether a file of that name is an archive to unpack, or one file to keep. By its name, as spreadsheets, packages and
 * saved models are zips too. */
bool kind_is_archive(const char *name);
