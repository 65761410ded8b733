#pragma once

#include <stdint.h>

#include "base/error.h"
#include "unpack/limits.h"

/*
 * Archives that strangers made. The server has no parser of them: a program of its own, `open-hydra-unpack`
 * (src/unpack), reads one archive and writes one folder, after it has given up everything else. It ends with the
 * server.
 *
 * What it takes, by the name: .zip, .7z, .tar, .tar.gz|xz|zst|bz2 (and .tgz, .txz, .tzst, .tbz2, .tbz); what it is
 * then says its content. Anything else is one file, kept under its own name (scores.xlsx, model.pt, data.csv.gz).
 *
 * Nothing is stripped: a common top folder stays, as teachers' notebooks name paths with it.
 */
struct unpack_result {
    uint64_t bytes, files;
};

/* Finds the program: at `path`, or where `path` is NULL beside this one or where it was installed. While that may still
 * be read: before rights are given up. Without it unpack() looks by itself. */
int unpack_prepare(const char *path, struct error **err) _must_check_;

/* Unpacks `archive` (a regular file, read from its begin; its offset is left alone; `name` says what it was called)
 * into the empty folder `folder`. Blocks; for a worker or a thread of one's own. `progress` is called now and then (at
 * least once a second), from the calling thread; negative ends it. An error names the entry. What it wrote so far
 * stays for the caller to remove.
 *
 * Reasons: BadRequest (what was sent is wrong, or holds what is not taken), RequestTooLarge (a limit),
 * InsufficientStorage (disk or quota full), Timeout (nothing came for a minute), Conflict (`progress` ended it),
 * Internal. */
int unpack(int archive, const char *name, int folder, const struct unpack_limits *limits,
           int (*progress)(void *arg, uint64_t bytes, uint64_t files), void *arg, struct unpack_result *out,
           struct error **err) _must_check_;
