/* `setup`: the link that makes the first administrator, for whoever may enter the folder of the runner's socket. */
#include <stdio.h>

#include "base/alloc.h"
#include "base/text.h"
#include "cli/command.h"
#include "cli/layout.h"
#include "client/transport.h"
#include "server/server.h"

#define ANSWER_MS 10000
#define MAX_CODE 256

static int ask_code(const char *socket, struct answer *out, struct error **err)
{
    const struct call call = {
        .method = "GET", .path = SETUP_CODE_PATH, .timeout_ms = ANSWER_MS, .stop_fd = -1, .max_body = MAX_CODE};
    struct transport *t = transport_new(&(struct transport_options){.socket = socket, .url = "http://server"});
    int rc = transport_call(t, &call, out, err);

    transport_free(t);
    if (rc < 0)
        return error_wrap(err, "no server answers on %s: is it running, and are you its user", socket);
    return out->status == 200 ? 0 : error_set(err, REASON_INTERNAL, "the server answered with %u", out->status);
}

int command_setup(const struct config *config, int argc, char **argv)
{
    _cleanup_answer_ struct answer answer = {.body = BUFFER_MAX(MAX_CODE)};
    _cleanup_free_ char *dashboard = config_dashboard_url(config);
    struct error *err = NULL;
    struct layout *l = layout_new(config);
    int rc = ask_code(l->runner_socket, &answer, &err);

    layout_free(l);
    if (rc < 0)
        return command_fail(err);
    if (answer.body.n)
        printf("%s/setup?code=%.*s\n", dashboard, (int)text_clean(answer.body.p, answer.body.n, ""), answer.body.p);
    else
        puts("There is an administrator already.");
    return 0;
}
