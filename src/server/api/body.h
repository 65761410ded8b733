#pragma once

#include "server/api/request.h"

/* What came with a write. */

enum body_types {
    BODY_OBJECT,      /* JSON or YAML; without a Content-Type: JSON */
    BODY_MERGE_PATCH, /* application/merge-patch+json */
};
/* 415 for other types, 400 for what is no JSON object. The document lives as long as the exchange. `optional`: an empty
 * body is *out == NULL. */
int body_read(struct request *r, enum body_types types, bool optional, yyjson_doc **out, struct error **err)
    _must_check_;

/* fieldValidation: what happens to fields that the schema does not know, or that are there twice. */
enum field_mode { FIELDS_WARN, FIELDS_STRICT, FIELDS_IGNORE };

struct field_findings {
    enum field_mode mode;
    struct buffer unknown, duplicate; /* «unknown field "spec.foo"», joined by ", " */
    struct request *r;                /* whose answer gets the warnings; NULL: nobody's */
};
/* The texts live as long as the arena. */
int field_findings_begin(struct request *r, struct arena *a, struct field_findings *f, struct error **err) _must_check_;
/* In the form of schema_report_fn. */
void field_is_unknown(void *findings, const char *path);
void field_is_duplicate(void *findings, const char *path);
/* Strict: BadRequest that lists all. */
int field_findings_end(const struct field_findings *f, struct error **err) _must_check_;

/* «Warning: 299 - "text"» (RFC 9111 §5.5 in the form that client-go reads). What is past WARNINGS_MAX is left out. */
void add_warning(struct request *r, const char *text);
