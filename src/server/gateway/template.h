#pragma once

#include "base/buffer.h"
#include "base/error.h"

/* A text with @NAME@ in places, embedded at build. */
struct template_source {
    const char *name;
    struct str text;
};
extern const struct template_source template_sources[];
extern const size_t template_sources_len;

struct template_value {
    const char *name;
    struct str text;
};

/* Copies `text`, each @NAME@ replaced by its value. A name that is not in `values` is a mistake
 * of ours; an @ that begins no such name stands for itself. */
int template_expand(struct buffer *out, struct str text, const struct template_value *values, size_t values_len,
                    struct error **err) _must_check_;
