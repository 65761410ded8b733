#pragma once

#include "server/hooks/context.h"

/* POST devices/NAME/ticket: a one-use link to the environment. */
void device_ticket(struct http_exchange *x, struct object *object, const struct identity *who, void *context_arg);
