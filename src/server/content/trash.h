#pragma once

#include <stdbool.h>

#include "base/error.h"
#include "server/content/shelf.h"

/* What nobody wants any more: away at once, by one rename, and removed later. */

/* `name` in `folder`; what is not there is fine. */
int trash_put(const struct shelf *s, int folder, const char *name, struct error **err) _must_check_;
/* Removes what is there; slow, and may be ended and begun again at any time. `going` is asked at each file (NULL: to
 * the end). May run on another thread than all else. What cannot be removed is left, and the first such is the error.
 * */
int trash_sweep(const struct shelf *s, bool (*going)(void *arg), void *arg, struct error **err) _must_check_;
