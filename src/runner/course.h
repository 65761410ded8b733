#pragma once

#include "runner/runtime/runtime.h"

/* «Start working on it»: course_work.py, which the environment runs itself, so that ids, quotas and limits hold. */
struct course_program {
    const char *name;
    struct str text;
};
extern const struct course_program course_programs[];
extern const size_t course_programs_len;

/* Copies the course in the folder of that name into the home of whoever has the instance, or what is new in it. `out`
 * gets a JSON object, which the environment may have made up (docs: course_work.py). `version` NULL: not known. */
int course_work(struct runtime *r, const char *instance, const char *name, const char *version, struct buffer *out,
                struct error **err) _must_check_;
