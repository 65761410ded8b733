#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/str.h"

/* A program of the system's, without privileges. */
struct process {
    const char *const *arguments; /* NULL-terminated; the first is its path */
    int folder;                   /* it works there */
    bool network;
    uint64_t file_bytes; /* no file that it writes is larger */
    unsigned seconds;    /* all in all */
    int stop_fd;
    /* What it writes to its standard output, as it comes; called too, with nothing, at least once a second. Negative ends
     * it. */
    int (*take)(void *arg, struct str piece, struct error **err);
    void *arg;
};

/* To its end. Invalid: it failed, with its last words. */
int process_run(const struct process *p, struct error **err) _must_check_;
