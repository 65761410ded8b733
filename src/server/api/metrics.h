#pragma once

#include "base/buffer.h"
#include "server/api/operation.h"

/* Counters of what was answered, in Prometheus' text format. */
struct metrics *metrics_new(const struct kind *const *kinds, size_t n);
void metrics_free(struct metrics *m);
void metrics_count(struct metrics *m, const struct operation *op, const struct operation_outcome *outcome);
void metrics_write(struct metrics *m, struct buffer *b);
/* «# HELP» and «# TYPE» of what others add. */
void metrics_head(struct buffer *b, const char *name, const char *type, const char *help);
