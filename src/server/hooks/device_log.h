#pragma once

#include "server/hooks/context.h"

/* GET devices/NAME/log?follow=true&tailLines=N: what the environment says, fetched from the runner. */
void device_log(struct request *r, struct object *object, void *context_arg);
