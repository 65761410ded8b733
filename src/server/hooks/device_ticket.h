#pragma once

#include "server/hooks/context.h"

/* POST devices/NAME/ticket: a one-use link to the environment. */
void device_ticket(struct request *r, struct object *object, void *context_arg);
