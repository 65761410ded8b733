/* `down`: removes what a stopped `run` leaves running. */
#include <stdio.h>
#include <unistd.h>

#include "base/io.h"
#include "cli/claim.h"
#include "cli/command.h"
#include "cli/layout.h"
#include "runner/runner.h"

#define STOPPING_MS 3000
#define LOOK_AGAIN_MS 50

/* `systemctl stop open-hydra.target` is back a moment before the runner has ended. */
static int lock_when_stopped(const struct layout *l, struct error **err)
{
    for (unsigned waited = 0; waited < STOPPING_MS; waited += LOOK_AGAIN_MS) {
        int lock = layout_lock(l, NULL);
        if (lock >= 0)
            return lock;
        usleep(LOOK_AGAIN_MS * 1000);
    }
    return layout_lock(l, err);
}

static int remove_environments(const struct config *c, const struct layout *l, struct error **err)
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

    if (claim_check(l, c, err) < 0 || layout_make(l, c, err) < 0)
        return -1;
    _cleanup_close_ int lock = lock_when_stopped(l, err);
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
    int rc = remove_environments(config, l, &err);

    layout_free(l);
    return rc < 0 ? command_fail(err) : 0;
}
