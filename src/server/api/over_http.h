#pragma once

#include "http/http.h"
#include "server/api/api.h"

/* The API over HTTP, as Kubernetes' clients speak it: an operation from an exchange, an answer from its result. */

/* Whether this path is ours: /apis…, /api, /openapi…, /version, /healthz, /livez, /readyz, /metrics. */
bool api_owns(struct str path);
/* For http_options.body_gate, once it is known who sends: what becomes of the body, and how large it may be where that is
 * not the server's own limit. */
enum http_body_use api_body_use(struct api *a, struct http_exchange *x, size_t *max);
/* Answers (or defers) a request of an identified caller; from an event thread or a worker. `who` is copied. */
void api_handle(struct api *a, struct http_exchange *x, const struct identity *who);

/* Answers one of whom it could not be found out who it is, `err` being why. Takes `err`. */
void api_handle_refused(struct api *a, struct http_exchange *x, const struct identity *who, struct error *err);

/* metav1.Status for an error, on whatever path it occurred. Takes `err`. */
void api_reply_error(struct http_exchange *x, struct error *err);
