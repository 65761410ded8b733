/* `down`: removes what a stopped `run` leaves running. */
#include <stdio.h>
#include <unistd.h>

#include "base/io.h"
#include "cli/command.h"
#include "cli/layout.h"
#include "runner/runner.h"

static int remove_all(const struct config *c, const struct layout *l, struct error **err)
{
    const struct runner_options options = {
        .config = c,
        .logs_fd = -1,
        .server_socket = l->runner_socket,
        .environments = l->environments,
        .rootless = !l->privileged,
        .gateway_gid = l->gateway_id,
        .server_uid = l->server_id,
    };

    if (layout_make(l, c, err) < 0)
        return -1;
    _cleanup_close_ int lock = layout_lock(l, err);
    if (lock < 0)
        return -1;
    if (rootless_enter(l->rootless, err) < 0)
        return -1;
    return runner_down(&options, stop_signals(), err);
}

int command_down(const struct config *config, int argc, char **argv)
{
    struct error *err = NULL;
    struct layout *l = layout_new(config);

    l->rootless = rootless_find();
    int rc = remove_all(config, l, &err);

    layout_free(l);
    return rc < 0 ? command_fail(err) : 0;
}
