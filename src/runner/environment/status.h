#pragma once

#include "runner/environment/environment.h"

/* Writes what the device's status is to say, where that is new: an event of our own writing leads to nothing. `object`
 * is the device as last seen. */
void status_write(struct environments *es, struct environment *e, yyjson_val *object);
