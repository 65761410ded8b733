#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <unistd.h>

#include "base/attributes.h"
#include "base/error.h"
#include "base/str.h"

static inline void cleanup_closep(int *fd)
{
    if (*fd >= 0)
        close(*fd);
}
#define _cleanup_close_ _cleanup_(cleanup_closep)

/* Whole file, at most `max` bytes, NUL-terminated; the caller frees. */
char *read_file(const char *path, size_t max, size_t *n, struct error **err) _must_check_;
/* Replaces the file as a whole: a temporary neighbour, fsync, rename, fsync of the folder. */
int write_file_atomic(const char *path, struct str content, mode_t mode, struct error **err) _must_check_;
int write_all(int fd, const void *p, size_t n, struct error **err) _must_check_;
/* Makes the folder and its parents (parents 0755), each on disk before what is in it; an existing one keeps its mode.
 */
int make_directory(const char *path, mode_t mode, struct error **err) _must_check_;
bool path_exists(const char *path);
/* Whether the folder holds anything but names that begin with a dot. */
bool has_entry(const char *folder);
/* A listening unix socket with that mode; a stale file in its place is removed. Returns the descriptor (CLOEXEC). */
#define SOCKET_PATH_MAX 107 /* bytes of a unix socket's path */
int listen_unix(const char *path, mode_t mode, struct error **err) _must_check_;
