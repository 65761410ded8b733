#pragma once

#include "http/connection.h"

/* What a connection does, step by step, as far as it goes. */

int lane_init(struct lane *l, struct service *service, struct error **err) _must_check_;
void lane_free(struct lane *l);
/* A connection that was accepted, on the lane's thread. Takes the descriptor. */
void connection_open(struct lane *l, int fd);
