#pragma once

#include <stdbool.h>
#include <stdio.h>

#include "runner/runner.h"

/*
 * `open-hydra-server homes …`: whose the homes on this machine's disks are, and what an administrator of the machine does
 * with those that nobody has. It works beside a running server, and without one but for what only the server knows (which
 * users there are). A deed that is killed is whole or undone, or a removal, which the next one ends.
 */
struct homes_order {
    const char *deed;   /* list, attach, archive, remove */
    char *const *words; /* what follows it */
    int n;
    bool dry_run, yes, json;
};
/* Whether there is such a thing to do, with so many words. */
bool homes_order_is_sound(const struct homes_order *o);
void homes_describe(FILE *out);
int runner_homes(const struct runner_options *options, const struct homes_order *o, struct error **err) _must_check_;
