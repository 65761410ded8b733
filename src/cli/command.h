#pragma once

#include "config/config.h"

/* One subcommand: what main.c knows of it. Each has a file of its own. */
struct command {
    const char *name, *arguments, *summary;
    int (*run)(const struct config *config, int argc, char **argv); /* exit code; argv[0] is the subcommand's name */
};

int command_run(const struct config *config, int argc, char **argv);
int command_serve(const struct config *config, int argc, char **argv);
int command_runner(const struct config *config, int argc, char **argv);
int command_gateway(const struct config *config, int argc, char **argv);
int command_setup(const struct config *config, int argc, char **argv);
int command_kubeconfig(const struct config *config, int argc, char **argv);
int command_passwd(const struct config *config, int argc, char **argv);
int command_upload(const struct config *config, int argc, char **argv);
int command_down(const struct config *config, int argc, char **argv);
int command_images(const struct config *config, int argc, char **argv);
int command_sandbox(const struct config *config, int argc, char **argv);
int command_homes(const struct config *config, int argc, char **argv);
int command_usage(const struct config *config, int argc, char **argv);
int command_check_config(const struct config *config, int argc, char **argv);

/* Prints «open-hydra-server: message» and returns 1. Takes the error. */
int command_fail(struct error *err);
/* A descriptor that becomes readable when SIGINT or SIGTERM comes; the signals are blocked from then on. */
int stop_signals(void);
