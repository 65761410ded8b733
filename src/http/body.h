#pragma once

#include "http/connection.h"

/* Bodies of requests: how large, within which time, and where they go. */

/* Headers are there, and say that a body follows. */
enum progress body_begin(struct connection *c);
/* The steps READ_BODY, RECEIVE_BODY and DRAIN. */
enum progress body_collect(struct connection *c, struct str *input);
enum progress body_receive(struct connection *c, struct str *input);
enum progress body_drain(struct connection *c, struct str *input);
/* It took too long, where body_is_late says so. OVER: nothing is left to be said. */
enum progress body_check_time(struct connection *c);

/* nginx hands bodies on as they come, so that who sends slowly holds a connection here, and what was sent so far: the
 * whole of a body has 10 s (or `seconds`), and a second more for each 64 KiB that have come: 3 MiB have 58 s. */
bool body_is_late(int64_t took_us, uint64_t received, unsigned seconds);
