/* `serve` and `runner`: one process each, as service units start them. */
#include <unistd.h>

#include "base/error.h"
#include "cli/command.h"
#include "cli/inherit.h"
#include "cli/process.h"

static int prepare(const struct config *c, const struct layout *l, int fds[static SOCKETS], struct error **err)
{
    int inherited = inherit_sockets(fds);

    if (layout_make(l, c, err) < 0)
        return -1;
    return inherited ? 0 : layout_listen(l, fds, err);
}

static int run_one(const struct config *c, bool server)
{
    int fds[SOCKETS];
    struct error *err = NULL;
    struct layout *l = layout_new(c);
    int rc = prepare(c, l, fds, &err);

    if (rc < 0)
        rc = command_fail(err);
    else if (server)
        rc = process_server(c, l, fds, stop_signals(), -1);
    else
        rc = process_runner(c, l, fds, stop_signals());
    layout_free(l);
    return rc;
}

int command_serve(const struct config *config, int argc, char **argv)
{
    return run_one(config, true);
}

int command_runner(const struct config *config, int argc, char **argv)
{
    return run_one(config, false);
}
