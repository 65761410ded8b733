#pragma once

#include "server/api/hooks.h"
#include "server/api/request.h"

/* Warnings of a write (admission_warn) into its answer: «Warning: 299 - "text"» (RFC 9111 §5.5 in the form that client-go
 * reads). What is past WARNINGS_MAX is left out. */
void request_add_warnings(struct request *r, const struct admission *a);
