#pragma once

#include <sys/types.h>

#include "base/error.h"

/* A folder of what students see (datasetBasePath, courseBasePath), and what we keep beside it, in BASE/.open-hydra
 * (0700, ours, on the same file system): new/, versions/ (exchange.h), trash/ (trash.h). Other names there are other
 * people's. */
struct shelf {
    int base, own; /* folders: BASE and BASE/.open-hydra */
};

/* Opens BASE, makes what is missing below it, and tries an exchange there: some file systems have none. */
int shelf_open(struct shelf *s, const char *base, struct error **err) _must_check_;
void shelf_close(struct shelf *s);
/* A folder beneath another one, through no link and into no other file system; errno where it cannot be had. */
int shelf_open_folder(int at, const char *path) _must_check_;
