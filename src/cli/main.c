#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include <sodium.h>

#include "base/alloc.h"
#include "base/log.h"
#include "base/notify.h"
#include "base/str.h"
#include "base/text.h"
#include "cli/command.h"
#include "cli/options.h"
#include "cli/signals.h"
#include "cli/title.h"
#include "runner/homes.h"
#include "runner/images.h"

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
    {"upload", "KIND NAME FILE", "send FILE as the content of a data set or a course (KIND: dataset, course)",
     command_upload},
    {"images", "WORD… [--dry-run]", "list, pull, import, export and prune images of environments", command_images},
    {"sandbox", "from-devcontainer FILE", "print a Sandbox made of a devcontainer.json", command_sandbox},
    {"homes", "WORD… [--dry-run] [--yes] [-o json]", "list homes; attach, archive and remove those that nobody has",
     command_homes},
    {"usage", "", "print who has how much on the disk, and what is free", command_usage},
    {"check-config", "", "read and check the configuration, and print what holds", command_check_config},
    {"version", "", "print the version", NULL},
};

static void print_usage(FILE *out)
{
    fputs("open-hydra-server: Jupyter and VS Code environments for a class, behind a Kubernetes-style API.\n\n"
          "Usage: open-hydra-server COMMAND [OPTIONS]\n\nCommands:\n",
          out);
    for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
        _cleanup_free_ char *left = xasprintf("%s %s", commands[i].name, commands[i].arguments);
        fprintf(out, "  %-22s %s\n", left, commands[i].summary);
    }
    fputc('\n', out);
    options_describe(out);
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

/* The switches that are a command's own come last among its words. */
static int run_command(const struct command *command, const struct options *o, char **rest, int n)
{
    struct error *err = NULL;
    struct config *config = config_load(&o->flags, &err);
    static char renew[] = "--renew", dry_run[] = "--dry-run", yes[] = "--yes", json[] = "--output=json";

    if (config == NULL)
        return command_fail(err);
    char **words = xcalloc((size_t)n + 5, sizeof(*words));
    memcpy(words, rest, (size_t)n * sizeof(*words));
    if (o->renew)
        words[n++] = renew;
    if (o->dry_run)
        words[n++] = dry_run;
    if (o->yes)
        words[n++] = yes;
    if (o->output)
        words[n++] = json;
    int rc = command->run(config, n, words);
    free(words);
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

/* Commands of several words say more of themselves. */
static const struct {
    const char *name;
    void (*describe)(FILE *out);
} described[] = {{"homes", homes_describe}, {"images", images_describe}};

static void print_help(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        for (size_t k = 0; k < ARRAY_SIZE(described); k++)
            if (streq(argv[i], described[k].name)) {
                fputs("Usage:\n", stdout);
                described[k].describe(stdout);
                return;
            }
    print_usage(stdout);
}

/* Returns the exit code of what was answered, or -1 where a command is to be run. */
static int answer_without_command(const struct options *o, int argc, char **argv)
{
    if (o->help)
        print_help(argc, argv);
    else if (o->words == argc)
        print_usage(stderr);
    else
        return -1;
    return o->help ? 0 : 2;
}

static int wrong_use(const char *what, const char *word)
{
    fprintf(stderr, "open-hydra-server: %s%s\nTry: open-hydra-server --help\n", what, word);
    return 2;
}

/* «…»: as many words as one likes. Options have been read. */
static int words_of(const char *arguments)
{
    if (strstr(arguments, "…"))
        return INT_MAX;

    struct str rest = str_from(arguments), word;
    int n = 0;

    while (str_split(&rest, ' ', &word))
        n += word.n && word.p[0] != '[' && word.p[0] != '-';
    return n;
}

/* `words`: the command's name and what follows it. */
static int answer_command(const struct options *o, char **words, int n)
{
    const struct command *command = find_command(words[0]);

    if (command == NULL)
        return wrong_use("unknown command ", words[0]);
    if (command->run == NULL) {
        puts("version: " OPEN_HYDRA_VERSION);
        return 0;
    }
    if (o->dry_run && !strstr(command->arguments, "--dry-run"))
        return wrong_use(command->name, " does not take --dry-run");
    if (o->yes && !strstr(command->arguments, "--yes"))
        return wrong_use(command->name, " does not take --yes");
    if (o->output && (!strstr(command->arguments, "-o json") || !streq(o->output, "json")))
        return wrong_use(command->name, " does not take that --output");
    int allowed = words_of(command->arguments);
    if (n - 1 > allowed) {
        _cleanup_free_ char *word = xasprintf("%s does not take \"%s\"", command->name, words[1 + allowed]);
        return wrong_use(word, "");
    }
    return run_command(command, o, words, n);
}

int main(int argc, char **argv)
{
    struct options options;

    title_take(argc, argv);
    signal(SIGPIPE, SIG_IGN);
    log_set_journal();
    notify_take();
    raise_descriptor_limit();
    if (sodium_init() < 0)
        return 1;
    if (options_read(argc, argv, &options) < 0) {
        fputs("Try: open-hydra-server --help\n", stderr);
        return 2;
    }
    if (options.debug)
        log_set_level(LOG_DEBUG);
    int answered = answer_without_command(&options, argc, argv);
    return answered >= 0 ? answered : answer_command(&options, argv + options.words, argc - options.words);
}
