#pragma once

#include "server/api/findings.h"

/* What is done with a write's object (hooks.h) whether it was sent whole or is made by a patch. */

/* What was sent, as a mutable object: duplicates reported and gone. */
void admission_take(struct admission *a, yyjson_val *sent, struct field_findings *f);
/* Form and fields. */
int admission_decode(struct admission *a, struct field_findings *f, struct error **err) _must_check_;

/* None so far. */
void admission_no_secrets(struct admission *a);
/* Secrets leave the object, into a->secrets. */
int admission_take_secrets(struct admission *a, struct error **err) _must_check_;
bool admission_has_secrets(const struct admission *a);
bool admission_same_secrets(const struct admission *a, const struct admission *b);
