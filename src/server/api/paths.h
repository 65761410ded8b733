#pragma once

#include "server/api/request.h"

/* What is no resource, by its path: health and metrics, discovery, OpenAPI. Answers (0), or says why not. */
int path_answer(struct request *r, struct error **err) _must_check_;
