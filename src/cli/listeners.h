#pragma once

#include "config/config.h"

/*
 * nginx's listening sockets, made by us and inherited by it as by a new version of itself (its variable NGINX), because
 * it has no word for what they need: a time after which a peer that takes no byte is given up (tcp(7),
 * TCP_USER_TIMEOUT), which accepted connections take over. Keep-alive probes are sent only where nothing waits to be
 * sent, and a watch's bookmark each minute waits for a quarter of an hour by the kernel's own rules. They are bound
 * alone: nginx listens, so that what answers is nginx.
 */
#define LISTENERS_PEER_TIMEOUT_MS 105000

/* Puts NGINX into the environment. Those that cannot be had are left to nginx, which says why. Returns their number. */
size_t listeners_open(const struct config *c);
