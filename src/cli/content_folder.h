#pragma once

#include <stdbool.h>
#include <sys/types.h>

/* datasetBasePath or courseBasePath, which environments see and the server, who has no rights of its own, has to
 * write in: made where it is missing. One of `ours`
 * is the server's. An administrator's folder stays the administrator's: the server's group gets
 * the right to put something into it, and the sticky bit keeps what others put there from it. Where that cannot be
 * had, a warning says so, and uploads are refused; everything else goes on. */
void content_folder_make(const char *path, const char *key, bool ours, uid_t server);
