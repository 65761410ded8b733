#pragma once

#include <stdbool.h>
#include <stdio.h>

#include "runner/runner.h"

/*
 * `open-hydra-server images …`: what the engine has, and what of it sandboxes need. It works beside a running runner, and
 * without one; only which sandboxes there are the server has to say.
 */
struct images_order {
    const char *deed;   /* list, pull, import, export, prune */
    char *const *words; /* what follows it */
    int n;
    bool dry_run;
};
/* Whether there is such a thing to do, with so many words. */
bool images_order_is_sound(const struct images_order *o);
void images_describe(FILE *out);
/* Says on standard output what it does; how far it is on standard error, where that is a terminal. */
int runner_images(const struct runner_options *options, const struct images_order *o, int stop_fd, struct error **err)
    _must_check_;
