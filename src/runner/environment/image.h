#pragma once

#include "kinds/sandbox.h"
#include "runner/environment/environment.h"

/* Which image a device is started from. Points into both. NULL: none is named. */
const char *device_image(const struct device *d, const struct sandbox *s);
/* What is known of the image that the device would be started from now; false: nothing. */
bool environment_image(struct environments *es, yyjson_val *device, struct image_state *out);

/* Whether it is not to be started yet, as its image is not here; then its status says how far that is, and it is worked
 * on again when there is more to say. */
bool environment_awaits_image(struct environments *es, struct environment *e, const struct device *d,
                              yyjson_val *object);
/* Asks the runtime. 1: it is here, 0: it is not, and its status says so. */
int environment_find_image(struct environments *es, struct environment *e, const char *reference, yyjson_val *object);
