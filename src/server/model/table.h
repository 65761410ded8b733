#pragma once

#include <stdint.h>

#include "base/buffer.h"
#include "base/json.h"
#include "kinds/kind.h"

/*
 * meta.k8s.io Table and PartialObjectMetadata, written straight into a buffer from the objects' JSON.
 *
 * list:  table_open, table_row for each, table_close(resourceVersion, continue, remaining)
 * one object, and the object of a watch event: table_object. A watch sends the column definitions with its first event
 * alone (`headers`). A bookmark is a table of one row made from the bookmark's object.
 */
enum table_include { TABLE_INCLUDE_METADATA, TABLE_INCLUDE_NONE, TABLE_INCLUDE_OBJECT };

struct table {
    const struct kind *kind;
    const char *version; /* "v1" or "v1beta1" (of meta.k8s.io); NULL: v1 */
    enum table_include include;
    int64_t now_us; /* for ages */
    size_t rows;    /* written so far */
};

/* The value of ?includeObject=; NULL and "" are Metadata. Else BadRequest. */
int table_include_parse(const char *text, enum table_include *out, struct error **err) _must_check_;

void table_open(struct table *t, struct buffer *b);
void table_row(struct table *t, struct buffer *b, yyjson_val *object, struct str json);
/* `continue_token` NULL: the last page; `remaining` < 0: not said. */
void table_close(struct table *t, struct buffer *b, uint64_t revision, const char *continue_token, int64_t remaining);
/* `json` is the text of `object` (used with TABLE_INCLUDE_OBJECT); resourceVersion is the object's own. */
void table_object(const struct table *t, struct buffer *b, yyjson_val *object, struct str json, bool headers);

/* {"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/VERSION","metadata":…} */
void partial_metadata_write(struct buffer *b, const char *version, yyjson_val *object);

/* How kubectl shows a span of time: "5m", "3d4h", "<invalid>" for one that ends in the future. */
#define AGE_SIZE 32
void age_text(char out[static AGE_SIZE], int64_t us);
