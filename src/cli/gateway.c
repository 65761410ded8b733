/* `gateway`: nginx under a process that keeps its certificate fresh. */
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "cli/command.h"
#include "cli/nginx.h"

#define CHECK_EVERY_MS 200
#define CERTIFICATE_CHECKS 18000 /* of those: an hour */

static int watch_over(const struct config *c, const struct layout *l, pid_t pid, int signals)
{
    struct pollfd fd = {.fd = signals, .events = POLLIN};
    int status;

    for (unsigned round = 1; poll(&fd, 1, CHECK_EVERY_MS) <= 0; round++) {
        if (waitpid(pid, &status, WNOHANG) == pid) {
            log_error("nginx ended by itself");
            return 1;
        }
        _cleanup_error_ struct error *err = NULL;
        if (round % CERTIFICATE_CHECKS == 0) {
            int rc = nginx_prepare(c, l, &err);
            if (rc > 0)
                kill(pid, SIGHUP);
            else if (rc < 0)
                log_warning("certificates: %s", err->message);
        }
    }
    kill(pid, SIGTERM);
    waitpid(pid, &status, 0);
    return 0;
}

int command_gateway(const struct config *config, int argc, char **argv)
{
    struct error *err = NULL;
    struct layout *l = layout_new(config);
    int signals = stop_signals();
    pid_t pid = -1;

    log_set_part("gateway");
    if (layout_make(l, config, &err) == 0 && nginx_check_ports(config, l, &err) == 0 &&
        nginx_prepare(config, l, &err) >= 0)
        pid = nginx_start(l, &err);
    int rc = pid < 0 ? command_fail(err) : watch_over(config, l, pid, signals);
    layout_free(l);
    return rc;
}
