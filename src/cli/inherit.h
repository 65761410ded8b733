#pragma once

#include "cli/layout.h"

/* The listening sockets by the names "gateway", "auth", "runner", "logs", as systemd hands them over (sd_listen_fds(3):
 * LISTEN_PID, LISTEN_FDS, LISTEN_FDNAMES), and the one named "peers" (server/gateway/peers.h), which nobody connects
 * to. Those not handed over stay -1. Returns how many listening ones were. What said so is gone from the environment
 * afterwards. */
int inherit_sockets(int fds[static SOCKETS], int *peers);
