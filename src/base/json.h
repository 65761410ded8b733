#pragma once

#include <stdint.h>
#include <yyjson.h>

#include "base/arena.h"
#include "base/attributes.h"
#include "base/buffer.h"
#include "base/error.h"
#include "base/str.h"

/* What yyjson leaves to its caller: a limit of depth, paths, and conversions that say which field is wrong. */

#define JSON_MAX_DEPTH 64
/* Of what goes into other texts: an object is read in a list's `items`, and in a watch's event. */
#define JSON_OBJECT_MAX_DEPTH 60

static inline void cleanup_json_docp(yyjson_doc **doc)
{
    yyjson_doc_free(*doc);
}
static inline void cleanup_json_mut_docp(yyjson_mut_doc **doc)
{
    yyjson_mut_doc_free(*doc);
}
#define _cleanup_json_ _cleanup_(cleanup_json_docp)
#define _cleanup_json_mut_ _cleanup_(cleanup_json_mut_docp)

/* RFC 8259 text, at most JSON_MAX_DEPTH deep. The document owns a copy of the bytes. NULL: BadRequest with the place.
 */
yyjson_doc *json_parse(struct str text, struct error **err) _must_check_;

/* Documents that go with the arena: one that is there, and a new one, in its memory. */
void json_keep(struct arena *a, yyjson_doc *doc);
yyjson_mut_doc *json_mut_new(struct arena *a);

/* Whether arrays and objects are nested more than that; of text that need not be JSON. */
bool json_deeper_than(struct str text, unsigned depth);
/* Walks "metadata.name"-like paths of object keys (no arrays, no dots in keys). NULL where a step is missing. */
yyjson_val *json_at(yyjson_val *v, const char *path);
yyjson_mut_val *json_mut_at(yyjson_mut_val *v, const char *path);
const char *json_str_at(yyjson_val *v, const char *path); /* NULL where absent or no string */
const char *json_mut_str_at(yyjson_mut_val *v, const char *path);
int64_t json_int_at(yyjson_val *v, const char *path, int64_t otherwise);
bool json_bool_at(yyjson_val *v, const char *path, bool otherwise);

/* The object at `path`, made (with its parents) where absent or null. */
yyjson_mut_val *json_mut_make_obj(yyjson_mut_doc *doc, yyjson_mut_val *v, const char *path);
/* Replaces or adds; the strings are copied into the document. A NULL string removes the key. */
void json_mut_set(yyjson_mut_doc *doc, yyjson_mut_val *obj, const char *key, yyjson_mut_val *value);
void json_mut_set_str(yyjson_mut_doc *doc, yyjson_mut_val *obj, const char *key, const char *value);
void json_mut_set_int(yyjson_mut_doc *doc, yyjson_mut_val *obj, const char *key, int64_t value);
void json_mut_set_bool(yyjson_mut_doc *doc, yyjson_mut_val *obj, const char *key, bool value);
void json_mut_remove(yyjson_mut_val *obj, const char *key);

/* Compact text; the caller frees. */
char *json_write(yyjson_val *v, size_t *n);
/* Whatever was put in: what is no UTF-8 becomes '?'. */
char *json_mut_write(yyjson_mut_val *v, size_t *n);
/* Same members, in any order; numbers by value. */
bool json_equal(yyjson_val *a, yyjson_val *b);
