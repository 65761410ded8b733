#pragma once

#include "base/buffer.h"
#include "server/api/hooks.h"

/* fieldValidation: what happens to fields that the schema does not know, or that are there twice. */
enum field_mode { FIELDS_WARN, FIELDS_STRICT, FIELDS_IGNORE };

struct field_findings {
    enum field_mode mode;
    struct admission *warned;         /* whose warnings they become */
    struct buffer unknown, duplicate; /* or, strict: «unknown field "spec.foo"», joined by ", " */
};
/* Their texts live as long as the arena of `warned`. `op` NULL: the server's own write, which ignores them. */
int field_findings_begin(const struct operation *op, struct admission *warned, struct field_findings *f,
                         struct error **err) _must_check_;
/* What was found so far, for another to go on with. */
void field_findings_copy(struct field_findings *to, struct admission *warned, const struct field_findings *from);
/* Nothing is kept of them, and nobody told. */
void field_findings_ignore(struct field_findings *f);
/* In the form of schema_report_fn. */
void field_is_unknown(void *findings, const char *path);
void field_is_duplicate(void *findings, const char *path);
/* Strict: BadRequest that lists all. */
int field_findings_end(const struct field_findings *f, struct error **err) _must_check_;
