#pragma once

#include "config/config.h"

/* Why nothing is started now: less is free where homes or the database lie than the configuration asks for (of a small
 * disk a twentieth part, and of its files), as a sentence to be freed. NULL: there is room. */
char *disk_full(const struct config *c);
