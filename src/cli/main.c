#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include <sodium.h>

#include "base/alloc.h"
#include "base/log.h"
#include "base/notify.h"
#include "base/str.h"
#include "base/text.h"
#include "cli/command.h"
#include "cli/signals.h"
#include "cli/title.h"

static const struct command commands[] = {
    {"run", "", "start server, runner and gateway on this machine, until Ctrl-C", command_run},
    {"serve", "", "the server alone (API, accounts); a service unit starts it", command_serve},
    {"runner", "", "the runner alone (owns the container engine)", command_runner},
    {"gateway", "", "the gateway alone (writes nginx's configuration and keeps nginx running)", command_gateway},
    {"setup", "", "print the link that makes the first administrator", command_setup},
    {"kubeconfig", "[--renew]", "print how kubectl gets here; --renew replaces the administrator's certificate",
     command_kubeconfig},
    {"passwd", "USER", "set a user's password (asked for, or one line of standard input)", command_passwd},
    {"down", "", "stop and remove all environments; files stay", command_down},
    {"usage", "", "print who has how much on the disk, and what is free", command_usage},
    {"check-config", "", "read and check the configuration, and print what holds", command_check_config},
    {"version", "", "print the version", NULL},
};

static const char usage_options[] =
    "Options (before or after the command's name):\n"
    "  --config FILE                   configuration (default: /etc/open-hydra/config.yaml where it exists)\n"
    "  --data DIR                      state: database, certificates, homes (default: /var/lib/open-hydra)\n"
    "  --runtime DIR                   sockets (default: /run/open-hydra)\n"
    "  --web DIR                       the dashboard's files\n"
    "  --dashboard-listen HOST:PORT    dashboard (default: 127.0.0.1:30001)\n"
    "  --environment-listen HOST:FIRST-LAST\n"
    "                                  a port for each user's environment (default: 127.0.0.1:31000-31999)\n"
    "  --api-listen HOST:PORT          API for kubectl, TLS (default: 127.0.0.1:30443)\n"
    "  --engine-socket PATH            Podman's or Docker's socket (default: looked for, else started)\n"
    "  --insecure                      plain HTTP on other than loopback addresses: passwords can be read on the "
    "network\n"
    "  --debug                         more lines in the log\n"
    "  --help, -h                      this text\n";

static void usage(FILE *out)
{
    fputs("open-hydra-server: Jupyter and VS Code environments for a class, behind a Kubernetes-style API.\n\n"
          "Usage: open-hydra-server COMMAND [OPTIONS]\n\nCommands:\n",
          out);
    for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
        _cleanup_free_ char *left = xasprintf("%s %s", commands[i].name, commands[i].arguments);
        fprintf(out, "  %-22s %s\n", left, commands[i].summary);
    }
    fprintf(out, "\n%s", usage_options);
}

enum {
    OPTION_CONFIG = 256,
    OPTION_DATA,
    OPTION_RUNTIME,
    OPTION_WEB,
    OPTION_DASHBOARD,
    OPTION_ENVIRONMENT,
    OPTION_API,
    OPTION_ENGINE,
    OPTION_INSECURE,
    OPTION_DEBUG,
    OPTION_RENEW
};

static const struct option options[] = {
    {"config", required_argument, NULL, OPTION_CONFIG},
    {"open-hydra-server-config", required_argument, NULL, OPTION_CONFIG}, /* the original's name for it */
    {"data", required_argument, NULL, OPTION_DATA},
    {"runtime", required_argument, NULL, OPTION_RUNTIME},
    {"web", required_argument, NULL, OPTION_WEB},
    {"dashboard-listen", required_argument, NULL, OPTION_DASHBOARD},
    {"environment-listen", required_argument, NULL, OPTION_ENVIRONMENT},
    {"api-listen", required_argument, NULL, OPTION_API},
    {"engine-socket", required_argument, NULL, OPTION_ENGINE},
    {"insecure", no_argument, NULL, OPTION_INSECURE},
    {"debug", no_argument, NULL, OPTION_DEBUG},
    {"renew", no_argument, NULL, OPTION_RENEW},
    {"help", no_argument, NULL, 'h'},
    {0},
};

/* Returns 0, or the exit code of what has been answered already (2: wrong, 3: help was asked for). */
static int read_options(int argc, char **argv, struct config_flags *flags, bool *renew)
{
    int c;

    while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        switch (c) {
        case OPTION_CONFIG:
            flags->file = optarg;
            break;
        case OPTION_DATA:
            flags->data = optarg;
            break;
        case OPTION_RUNTIME:
            flags->runtime = optarg;
            break;
        case OPTION_WEB:
            flags->web = optarg;
            break;
        case OPTION_DASHBOARD:
            flags->dashboard_listen = optarg;
            break;
        case OPTION_ENVIRONMENT:
            flags->environment_listen = optarg;
            break;
        case OPTION_API:
            flags->api_listen = optarg;
            break;
        case OPTION_ENGINE:
            flags->engine_socket = optarg;
            break;
        case OPTION_INSECURE:
            flags->insecure = true;
            break;
        case OPTION_DEBUG:
            log_set_level(LOG_DEBUG);
            break;
        case OPTION_RENEW:
            *renew = true;
            break;
        case 'h':
            usage(stdout);
            return 3;
        default:
            fputs("Try: open-hydra-server --help\n", stderr);
            return 2;
        }
    }
    return 0;
}

static const struct command *find_command(const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
        if (streq(commands[i].name, name))
            return &commands[i];
    return NULL;
}

int command_fail(struct error *err)
{
    err->message[text_clean(err->message, strlen(err->message), "\n")] = '\0';
    if (log_is_journal())
        log_error("%s", err->message);
    else
        fprintf(stderr, "open-hydra-server: %s\n", err->message);
    error_free(err);
    return 1;
}

int stop_signals(void)
{
    static const int wanted[] = {SIGINT, SIGTERM};
    return signals_watch(wanted, ARRAY_SIZE(wanted));
}

static int run_command(const struct command *command, const struct config_flags *flags, bool renew, char **rest, int n)
{
    struct error *err = NULL;
    struct config *config = config_load(flags, &err);

    if (config == NULL)
        return command_fail(err);
    char renew_flag[] = "--renew";
    char *with_renew[] = {rest[0], renew_flag, NULL};
    int rc = renew ? command->run(config, 2, with_renew) : command->run(config, n, rest);
    config_free(config);
    return rc;
}

/* Every watcher and every environment's port is a descriptor. */
static void raise_descriptor_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

int main(int argc, char **argv)
{
    struct config_flags flags = {0};
    bool renew = false;

    title_take(argc, argv);
    signal(SIGPIPE, SIG_IGN);
    log_set_journal();
    notify_take();
    raise_descriptor_limit();
    if (sodium_init() < 0)
        return 1;
    int answered = read_options(argc, argv, &flags, &renew);
    if (answered)
        return answered == 3 ? 0 : answered;
    if (optind == argc) {
        usage(stderr);
        return 2;
    }
    const struct command *command = find_command(argv[optind]);
    if (command == NULL) {
        fprintf(stderr, "open-hydra-server: unknown command %s\nTry: open-hydra-server --help\n", argv[optind]);
        return 2;
    }
    if (command->run == NULL) {
        puts("version: " OPEN_HYDRA_VERSION);
        return 0;
    }
    /* Its arguments in capitals are words; the others are options, which have been read. */
    int words = command->arguments[0] >= 'A' && command->arguments[0] <= 'Z' ? 1 : 0;
    if (argc - optind - 1 > words) {
        fprintf(stderr, "open-hydra-server: %s does not take \"%s\"\nTry: open-hydra-server --help\n", command->name,
                argv[optind + 1 + words]);
        return 2;
    }
    return run_command(command, &flags, renew, argv + optind, argc - optind);
}
