#pragma once

#include <stdint.h>
#include <sys/types.h>

#include "base/str.h"

/* Whether somebody listens on a TCP port of the network namespace that a process is in, and where it is reached. */
enum listening { LISTENING_UNKNOWN, LISTENING_NOT, LISTENING_V4, LISTENING_V6 };
enum listening listening_on(pid_t pid, uint16_t port);

/* Of the texts of /proc/net/tcp and tcp6. */
enum listening listening_in(struct str tcp, struct str tcp6, uint16_t port);
