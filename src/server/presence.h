#pragma once

#include "server/hooks/context.h"

/* Asks the runner every few seconds whether it is there, and lets the devices say so while it is not. */
struct presence;
struct presence *presence_start(struct store *store, const char *logs_socket, atomic_bool *runner_present);
void presence_stop(struct presence *p);
