#pragma once

#include "base/arena.h"
#include "base/json.h"
#include "kinds/kind.h"

/*
 * What a kind's schema says about an object. A write goes through these in this order:
 *
 *   schema_find_duplicates   on what was sent (fieldValidation); schema_drop_duplicates on the mutable copy
 *   metadata_decode          (metadata.h) apiVersion, kind, types in metadata: 400
 *   schema_prune             unknown fields go, each is reported (fieldValidation)
 *   schema_take_write_only   secrets leave the object before anything else looks at it
 *   schema_restore_output_only, schema_check_immutable (updates; output-only on create too)
 *   schema_default
 *   schema_validate
 *
 * None of them looks below metadata but schema_prune (ObjectMeta's own fields) and schema_take_write_only (kubectl's
 * annotation).
 */

/* `path` as in messages: "spec.volumes[0].name". Called for the first SCHEMA_MAX_REPORTS findings; a stranger may send
 * a million. */
#define SCHEMA_MAX_REPORTS 100
typedef void schema_report_fn(void *arg, const char *path);

/* Keys that occur twice in one object. The texts for clients are: duplicate field "spec.role". Returns their number. */
size_t schema_find_duplicates(yyjson_val *v, schema_report_fn *report, void *arg);
/* The last one stays, as Go's and JavaScript's parsers read it; yyjson_obj_get would find the first. */
void schema_drop_duplicates(yyjson_mut_val *v);

/* Removes what the schema does not know. The texts for clients are: unknown field "spec.foo". Returns their number.
 * `report` may be NULL. */
size_t schema_prune(const struct kind *k, yyjson_mut_val *object, schema_report_fn *report, void *arg);

/* Fills in defaults; a null where the field is not nullable counts as absent and is removed, as in Kubernetes. */
void schema_default(const struct kind *k, yyjson_mut_doc *doc, yyjson_mut_val *object);

/* Invalid (422) with causes in Kubernetes' words: "spec.role: Unsupported value: 3: supported values: \"1\", \"2\"".
 * Values at write-only paths are never repeated. Errors are added to *err where it already is an Invalid one. */
int schema_validate(const struct kind *k, yyjson_mut_val *object, struct error **err) _must_check_;

/* The same for one value as it would stand at `path` (keys joined by dots). */
int schema_validate_at(const struct kind *k, const char *path, yyjson_mut_val *v, struct error **err) _must_check_;

/* Takes the values at kind->write_only out of the object: out[i] is the i-th path's, in the arena; NULL where absent,
 * null or empty. They also leave kubectl's last-applied annotation (which goes as a whole where it cannot be read), as
 * does everything the schema does not know. `out` has one element per path. Invalid (422, not repeating the value)
 * where one breaks its schema; even then all are taken out. */
int schema_take_write_only(const struct kind *k, yyjson_mut_doc *doc, yyjson_mut_val *object, const char **out,
                           struct arena *arena, struct error **err) _must_check_;

/* Output-only fields of what a client sent: kept from the present object, removed where that has none (`old` NULL:
 * create). */
void schema_restore_output_only(const struct kind *k, yyjson_val *old, yyjson_mut_doc *doc, yyjson_mut_val *object);
/* Invalid where an immutable field differs from `old`. One that is left out is kept: clients that replace an object
 * with the manifest they once sent do not know what the server filled in. */
int schema_check_immutable(const struct kind *k, yyjson_val *old, yyjson_mut_doc *doc, yyjson_mut_val *object,
                           struct error **err) _must_check_;

/* Rewrites the message from the causes as Kubernetes does: «Device.open-hydra-server.openhydra.io "u" is invalid:
 * spec.role: …», several causes in brackets. For errors with causes; others are left alone. */
void schema_invalid_prefix(struct error *err, const struct kind *k, const char *name);
