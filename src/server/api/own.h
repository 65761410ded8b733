#pragma once

#include "server/api/request.h"

/*
 * What those who reach own objects alone (VERDICT_OWN) may write on them beside the specification: the one place for
 * every way of writing.
 *
 *   name         the owner's own: names that others want are taken by nobody else, and cannot be found out by trying
 *   finalizers, ownerReferences   as they are: they would hold an object, and who owns it, against its deletion
 *   labels, annotations           a few, small, without reserved prefixes, and nothing that steers a terminal
 *
 * What the server writes (uid, timestamps, managedFields, output fields, status) is dropped for everybody
 * (metadata_decode, metadata_stamp_create, schema_restore_output_only).
 */
#define OWN_PAIRS_MAX 32                    /* labels; and annotations */
#define OWN_PAIRS_BYTES ((size_t)16 * 1024) /* of all of them, keys and values */

/* Whether the request may touch an object of this name, as far as the name can say: 403 without a look at the store.
 * Who may touch all may touch this one. */
bool own_is_own_name(const struct request *r, const char *name);
/* `old` NULL: a new object, as it was sent. */
int own_check(const struct request *r, yyjson_val *old, yyjson_mut_val *object, struct error **err) _must_check_;
