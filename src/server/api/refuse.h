#pragma once

#include "server/api/request.h"

/* Whose an object is, and «devices.group "x" not found» and its like, as Kubernetes words them. */

/* The one field in question, by path ("spec.owner"), of serialised JSON. Whether it names `who`. */
bool owned_by(const struct kind *kind, struct str json, const struct identity *who);
bool owned_by_val(const struct kind *kind, yyjson_val *object, const struct identity *who);

int error_not_found(struct error **err, const struct kind *kind, const char *name);
int error_forbidden(struct error **err, const struct request *r);
/* There is no object of the request's name. Who sees own ones alone is told the same as of somebody else's, for names
 * are no business of strangers; but for the own name, of which kubectl waits after a delete to read NotFound. */
int error_absent(struct error **err, const struct request *r);

/* As in base/error.h: seen to fail. */
#define error_not_found(...) error_failed(error_not_found(__VA_ARGS__))
#define error_forbidden(...) error_failed(error_forbidden(__VA_ARGS__))
#define error_absent(...) error_failed(error_absent(__VA_ARGS__))
