#pragma once

#include "base/error.h"

/* What the server, which parses what strangers send, has no use for. The same as its unit says for systemd. */

/* A network of its own with nothing in it, not even a loopback that is up; sockets that are files still work. Before
 * the change of user. Without root a user namespace gives it, where the machine allows one; else a line in the log says
 * that it keeps the network. */
int confine_network(struct error **err) _must_check_;
/* No socket but of files, no namespaces, mounts, keyrings, tracing, modules, clocks … After the change of user: it
 * needs no_new_privs. */
int confine_calls(struct error **err) _must_check_;
