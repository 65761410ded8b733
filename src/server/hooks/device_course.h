#pragma once

#include "server/hooks/context.h"

/* POST devices/NAME/course: copies a course into the home of a running environment's owner, or what is new in it. The
 * environment does it itself (src/runner/course_work.py); the answer says what came of it. */
void device_course(struct request *r, struct object *object, void *context_arg);
