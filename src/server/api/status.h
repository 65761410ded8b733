#pragma once

#include "server/api/operation.h"

/* metav1.Status: Kubernetes API conventions, «Response Status Kind»; with details.kind, details.group and details.name
 * where they are given. The caller frees. */
char *status_json(const struct error *err, const struct kind *kind, const char *name, size_t *n);
/* The same as a result, with the headers that belong to it. */
struct result status_result(struct arena *a, const struct error *err, const struct kind *kind, const char *name);
