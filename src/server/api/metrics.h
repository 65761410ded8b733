#pragma once

#include <stdint.h>

#include "base/buffer.h"
#include "server/api/request.h"

/* Counters, in Prometheus' text format. */
struct metrics *metrics_new(const struct api *api);
void metrics_free(struct metrics *m);
void metrics_count(struct metrics *m, const struct api_resource *resource, enum verb verb, unsigned code, int64_t us);
void metrics_write(struct metrics *m, struct buffer *b);
