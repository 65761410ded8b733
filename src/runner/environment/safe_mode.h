#pragma once

#include "runner/environment/environment.h"

/*
 * Safe mode: the image is told (by the variable below) to read nothing of what a home configures, and to write what it must
 * into memory, so that somebody whose home is broken or full gets at the files. Its owner asks for it by spec.safeMode;
 * after a start that failed it is tried by itself, once. Images that do not know the variable start as always.
 */
#define SAFE_MODE_VARIABLE "OPENHYDRA_SAFE_MODE"

bool environment_is_safe(const struct environment *e, const struct device *d);
/* From now on; false: it was already. Why: for the condition. */
bool environment_try_safe(struct environment *e, const char *reason, const char *message);
/* What the runner before this one had found out. */
void environment_read_safe(struct environment *e, yyjson_val *object);

struct safe_mode_words {
    const char *reason, *message;
};
/* What its condition says; reason NULL: it is not in safe mode. */
struct safe_mode_words environment_safe_words(const struct environment *e, const struct device *d);
