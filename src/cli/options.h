#pragma once

#include <stdio.h>

#include "config/config.h"

/* What stands on the command line, before or after the subcommand's name. */
struct options {
    struct config_flags flags;
    bool renew, dry_run, yes, debug, help;
    const char *output; /* NULL: for people */
    int words;          /* index in argv of the first that is no option: the subcommand; argc where there is none */
};
/* Sorts argv: options first. Returns 0, or -1 where something is wrong, which has been said on stderr then. */
int options_read(int argc, char **argv, struct options *out) _must_check_;
void options_describe(FILE *out);
