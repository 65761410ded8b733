#include "cli/options.h"

#include <getopt.h>
#include <stddef.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/str.h"

#define FIRST_VALUE 256 /* beyond any short option */
#define HELP_COLUMN 34

/* One row each: with an argument it is a text, without one a switch. */
struct option_row {
    const char *name, *argument;
    size_t offset;
    const char *help; /* NULL: not listed */
};

#define INTO(field) offsetof(struct options, field)

static const struct option_row option_rows[] = {
    {"config", "FILE", INTO(flags.file), "configuration (default: /etc/open-hydra/config.yaml where it exists)"},
    {"open-hydra-server-config", "FILE", INTO(flags.file), NULL}, /* the original's name for it */
    {"data", "DIR", INTO(flags.data), "state: database, certificates, homes (default: /var/lib/open-hydra)"},
    {"runtime", "DIR", INTO(flags.runtime), "sockets (default: /run/open-hydra)"},
    {"web", "DIR", INTO(flags.web), "the dashboard's files"},
    {"dashboard-listen", "HOST:PORT", INTO(flags.dashboard_listen), "dashboard (default: 127.0.0.1:30001)"},
    {"environment-listen", "HOST:FIRST-LAST", INTO(flags.environment_listen),
     "a port for each user's environment (default: 127.0.0.1:31000-31999)"},
    {"api-listen", "HOST:PORT", INTO(flags.api_listen), "API for kubectl, TLS (default: 127.0.0.1:30443)"},
    {"engine-socket", "PATH", INTO(flags.engine_socket),
     "Podman's or Docker's socket (default: looked for, else started)"},
    {"insecure", NULL, INTO(flags.insecure),
     "plain HTTP on other than loopback addresses: passwords can be read on the network"},
    {"debug", NULL, INTO(debug), "more lines in the log"},
    {"renew", NULL, INTO(renew), NULL}, /* of one subcommand, which lists it */
    {"dry-run", NULL, INTO(dry_run), NULL},
    {"yes", NULL, INTO(yes), NULL},
    {"output", "FORMAT", INTO(output), NULL},
    {"help", NULL, INTO(help), "this text"},
};

static void set_option(const struct option_row *row, const char *text, struct options *out)
{
    void *field = (char *)out + row->offset;

    if (row->argument)
        *(const char **)field = text;
    else
        *(bool *)field = true;
}

int options_read(int argc, char **argv, struct options *out)
{
    struct option known[ARRAY_SIZE(option_rows) + 1] = {0};
    int c;

    for (size_t i = 0; i < ARRAY_SIZE(option_rows); i++)
        known[i] = (struct option){option_rows[i].name, option_rows[i].argument ? required_argument : no_argument, NULL,
                                   FIRST_VALUE + (int)i};
    *out = (struct options){0};
    while ((c = getopt_long(argc, argv, "ho:", known, NULL)) != -1) {
        if (c == '?')
            return -1;
        if (c == 'h')
            out->help = true;
        else if (c == 'o')
            out->output = optarg;
        else
            set_option(&option_rows[c - FIRST_VALUE], optarg, out);
        /* Whatever is wrong behind it. */
        if (out->help)
            break;
    }
    out->words = optind;
    return 0;
}

void options_describe(FILE *out)
{
    fputs("Options (before or after the command's name):\n", out);
    for (size_t i = 0; i < ARRAY_SIZE(option_rows); i++) {
        const struct option_row *row = &option_rows[i];
        if (row->help == NULL)
            continue;
        bool is_help = row->offset == INTO(help);
        _cleanup_free_ char *left = xasprintf("  --%s%s%s%s", row->name, row->argument ? " " : "",
                                              row->argument ? row->argument : "", is_help ? ", -h" : "");
        bool fits = strlen(left) < HELP_COLUMN;
        fprintf(out, "%-*s%s%*s%s\n", HELP_COLUMN, left, fits ? "" : "\n", fits ? 0 : HELP_COLUMN, "", row->help);
    }
}
