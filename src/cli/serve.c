/* `serve` and `runner`: one process each, as service units start them. */
#include <fcntl.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "cli/claim.h"
#include "cli/command.h"
#include "cli/inherit.h"
#include "cli/process.h"
#include "cli/title.h"
#include "server/gateway/peers.h"

#define AWAY_US (INT64_C(10) * 1000000)
#define EXIT_AFTER_PAUSE 3

/* Which of the two locks of `run` is this part's: `run` meets both, `down` the runner's. Held until the process ends.
 */
static int hold_lock(const struct config *c, const struct layout *l, bool server, struct error **err)
{
    if (server)
        return layout_lock_data(l, err);
    return layout_lock(l, err) < 0 ? -1 : claim_runtime(l, c, err);
}

static int prepare_serve(const struct config *c, const struct layout *l, bool server, int fds[static SOCKETS],
                         int *peers, struct error **err)
{
    int inherited = inherit_sockets(fds, peers);

    if (server && *peers < 0)
        *peers = peers_socket();
    if (layout_make(l, c, err) < 0 || hold_lock(c, l, server, err) < 0)
        return -1;
    return inherited ? layout_give_sockets(l, fds, err) : layout_listen(l, fds, err);
}

/* What cannot start answers for a while, and ends then: whoever started it tries again, with no pause of its own. */
static int serve_until_stopped(const struct config *c, const struct layout *l, const int fds[static SOCKETS], int peers)
{
    _cleanup_free_ char *reason = NULL;
    int stop = stop_signals(), kept[SOCKETS];

    title_set("server");
    for (size_t i = 0; i < SOCKETS; i++)
        kept[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, 0);
    int rc = process_server(c, l, fds, peers, stop, -1, &reason);
    if (reason == NULL)
        return rc;
    process_away(l, kept, stop, reason, clock_monotonic_us() + AWAY_US);
    return EXIT_AFTER_PAUSE;
}

static int run_one(const struct config *c, bool server)
{
    int fds[SOCKETS], peers;
    struct error *err = NULL;
    struct layout *l = layout_new(c);
    int rc = prepare_serve(c, l, server, fds, &peers, &err);

    if (rc == 0 && !server)
        l->rootless = rootless_find();

    if (rc < 0)
        rc = command_fail(err);
    else if (server)
        rc = serve_until_stopped(c, l, fds, peers);
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
