#pragma once

#include <stdint.h>

#include "base/json.h"
#include "kinds/kind.h"

/*
 * The rules of ObjectMeta that hold for every kind (cluster-scoped): Kubernetes API conventions, «Metadata».
 *
 * create: metadata_decode, metadata_generate_name, metadata_validate, metadata_stamp_create
 * update: metadata_decode, metadata_validate_update, metadata_stamp_update   (status: metadata_stamp_status)
 * both:   metadata_set_revision when the revision is known
 */

#define LAST_APPLIED_ANNOTATION "kubectl.kubernetes.io/last-applied-configuration"
#define METADATA_MAX_ANNOTATIONS ((size_t)256 * 1024) /* keys and values together */

/* apiVersion and kind are this kind's (filled in where absent); metadata is an object (made where absent) whose fields
 * have ObjectMeta's types; nulls, managedFields and selfLink are dropped. Otherwise BadRequest. */
int metadata_decode(const struct kind *k, yyjson_mut_doc *doc, yyjson_mut_val *object, struct error **err) _must_check_;

/* generateName plus five characters, where there is no name. */
void metadata_generate_name(yyjson_mut_doc *doc, yyjson_mut_val *object);
const char *metadata_name(yyjson_mut_val *object); /* NULL: none */

/* Adds causes (Invalid). */
int metadata_validate(const struct kind *k, yyjson_mut_val *object, struct error **err) _must_check_;
/* The same, and what may not change: uid (Conflict), new finalizers while it is being deleted (Forbidden cause). */
int metadata_validate_update(const struct kind *k, yyjson_val *old, yyjson_mut_val *object, struct error **err)
    _must_check_;

/* The object's metadata.resourceVersion as a number; 0 where absent, "" or "0" (no optimistic lock). Else
 * BadRequest/Invalid. */
int metadata_sent_revision(yyjson_mut_val *object, uint64_t *revision, struct error **err) _must_check_;
void metadata_set_revision(yyjson_mut_doc *doc, yyjson_mut_val *object, uint64_t revision);

/* uid, creationTimestamp, generation 1; whatever a client sent of these and of deletion is dropped. */
void metadata_stamp_create(yyjson_mut_doc *doc, yyjson_mut_val *object, int64_t now_us);
/* Those are kept from the old object; generation rises when anything but metadata, status and output-only fields
 * differs. */
void metadata_stamp_update(const struct kind *k, yyjson_mut_doc *doc, yyjson_mut_val *object, yyjson_val *old);
/* A write to /status: everything but status is the old object's. */
void metadata_stamp_status(yyjson_mut_doc *doc, yyjson_mut_val *object, yyjson_val *old);
/* Asks for deletion: deletionTimestamp and deletionGracePeriodSeconds 0, generation + 1. Nothing where already asked.
 */
void metadata_stamp_deletion(yyjson_mut_doc *doc, yyjson_mut_val *object, int64_t now_us);
bool metadata_is_deleting(yyjson_mut_val *object);
bool metadata_has_finalizers(yyjson_mut_val *object);

/* Rules of Kubernetes for labels, for selectors too. `why` says what is wrong. */
bool label_key_valid(struct str key, const char **why); /* qualified name: [prefix/]name */
bool label_value_valid(struct str value, const char **why);
