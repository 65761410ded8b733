#pragma once

#include "server/hooks/context.h"

/* GET devices/NAME/log?follow=true&tailLines=N: what the environment says, fetched from the runner. */
void device_log(struct http_exchange *x, struct object *object, const struct identity *who, void *context_arg);
