#pragma once

#include "server/hooks/content.h"

/* A data set or a course in one request, as the original's dashboard sends it: a form (multipart/form-data) with
 * `file` and fields, in any order. It is answered when users see the content. POST makes the object, PUT replaces
 * its content. */
void form_upload(struct request *r, struct object *object, struct content *content);
