#pragma once

#include <sys/types.h>

#include "server/gateway/pass.h"
#include "server/gateway/rules.h"

/*
 * The client that a pass is for: its address as nginx sees it (of an IPv6 one the network, since browsers change the
 * rest from day to day), on this machine whose process it is (peers.h; (uid_t)-1: not known), and its browser's name of
 * itself, which whoever reads a cookie in a log has not.
 */
pass_mark client_mark(const struct pass_keys *keys, const struct gateway_request *r, uid_t user);
