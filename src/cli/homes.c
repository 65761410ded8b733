/* `homes`: whose the homes are, and what is done with those that nobody has. Root's (or the user's own). */
#include "runner/homes.h"

#include "base/str.h"
#include "cli/command.h"
#include "cli/layout.h"

static int do_order(const struct config *c, struct layout *l, const struct homes_order *o, struct error **err)
{
    const struct runner_options options = {
        .config = c, .logs_fd = -1, .server_socket = l->runner_socket, .environments = l->environments};

    /* Without root, homes belong to ids that only Podman's namespace may look at. */
    l->rootless = rootless_find();
    return rootless_enter(l->rootless, err) < 0 ? -1 : runner_homes(&options, o, err);
}

/* The switches come last among the words. */
static bool take_switch(struct homes_order *o, const char *word)
{
    bool *which = streq(word, "--dry-run")       ? &o->dry_run
                  : streq(word, "--yes")         ? &o->yes
                  : streq(word, "--output=json") ? &o->json
                                                 : NULL;
    if (which)
        *which = true;
    return which != NULL;
}

int command_homes(const struct config *config, int argc, char **argv)
{
    struct homes_order o = {.deed = argc > 1 ? argv[1] : NULL, .words = argv + 2, .n = argc - 2};
    struct error *err = NULL;

    while (o.n > 0 && take_switch(&o, argv[1 + o.n]))
        o.n--;
    if (!homes_order_is_sound(&o)) {
        fputs("Usage:\n", stderr);
        homes_describe(stderr);
        return 2;
    }
    struct layout *l = layout_new(config);
    int rc = do_order(config, l, &o, &err);
    layout_free(l);
    return rc < 0 ? command_fail(err) : 0;
}
