/* `images`: what of the engine's images sandboxes need. Root's (or the user's own), beside a running `run` or without. */
#include "runner/images.h"

#include "base/str.h"
#include "cli/command.h"
#include "cli/layout.h"

static int do_order(const struct config *c, struct layout *l, const struct images_order *o, struct error **err)
{
    const struct runner_options options = {.config = c,
                                           .logs_fd = -1,
                                           .server_socket = l->runner_socket,
                                           .environments = l->environments,
                                           .rootless = !l->privileged,
                                           .gateway_gid = l->gateway_id,
                                           .server_uid = l->server_id};

    l->rootless = rootless_find();
    return rootless_enter(l->rootless, err) < 0 ? -1 : runner_images(&options, o, stop_signals(), err);
}

int command_images(const struct config *config, int argc, char **argv)
{
    bool dry_run = streq(argv[argc - 1], "--dry-run");
    struct images_order o = {argc > 1 ? argv[1] : NULL, argv + 2, argc - 2 - dry_run, dry_run};
    struct error *err = NULL;

    if (!images_order_is_sound(&o)) {
        fputs("Usage:\n", stderr);
        images_describe(stderr);
        return 2;
    }
    struct layout *l = layout_new(config);
    int rc = do_order(config, l, &o, &err);
    layout_free(l);
    return rc < 0 ? command_fail(err) : 0;
}
