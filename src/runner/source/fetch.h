#pragma once

#include "base/error.h"
#include "runner/source/wanted.h"

/*
 * What is wanted, into a file: by tar, git and curl of the system's, each a process without privileges (nobody's user, no
 * capability, none to be had), limited in bytes, files, memory and time. One that reads a folder has no network.
 *
 * Git gets bare clones of one commit, so that nothing is checked out: no hook, filter, submodule or large file of LFS.
 * Nobody follows a redirection: where it leads may be nothing that is allowed.
 */
struct fetch {
    const struct config *config;
    const struct wanted *wanted;
    const char *folder; /* to work in: ours, made and removed here */
    uint64_t max_bytes;
    int stop_fd;
    void (*progress)(void *arg, uint64_t bytes);
    void *arg;
};

struct fetched {
    char commit[65]; /* of a repository, "": none */
};

/* Appends to `file`. RequestTooLarge, Timeout, Invalid with the program's own words, ServiceUnavailable: stopped. */
int fetch_run(const struct fetch *f, int file, struct fetched *out, struct error **err) _must_check_;
