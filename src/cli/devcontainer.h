#pragma once

#include "base/arena.h"
#include "base/error.h"
#include "base/json.h"

/*
 * A Sandbox out of a devcontainer.json (containers.dev/implementors/json_reference): its image, containerEnv,
 * forwardPorts and postStartCommand. What else stands there is told to `left_out`, one sentence each: a sandbox is
 * prepared once, as an image, and not each time that somebody starts it.
 *
 * The text is JSON with comments and commas at ends. `file` names it in errors, with line or field.
 */
struct left_out {
    void (*tell)(void *arg, const char *field, const char *why);
    void *arg;
};
/* In the arena. NULL: it cannot be one. */
yyjson_mut_val *devcontainer_sandbox(struct arena *a, struct str text, const char *file,
                                     const struct left_out *left_out, struct error **err) _must_check_;
