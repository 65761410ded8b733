#pragma once

#include <regex.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/json.h"

/*
 * A structural OpenAPI v3 schema, compiled once from its JSON form so that checking an object walks small structures
 * instead of looking keywords up. What a structural schema may hold and we do not check (oneOf, CEL rules …) is refused
 * when a kind is loaded: a rule that is written down but not enforced would be a lie.
 */
enum schema_type {
    SCHEMA_ANY, /* no type given: only with x-kubernetes-preserve-unknown-fields */
    SCHEMA_OBJECT,
    SCHEMA_ARRAY,
    SCHEMA_STRING,
    SCHEMA_INTEGER,
    SCHEMA_NUMBER,
    SCHEMA_BOOLEAN,
    SCHEMA_INT_OR_STRING,
};

enum schema_format { SCHEMA_FORMAT_NONE, SCHEMA_FORMAT_DATE_TIME, SCHEMA_FORMAT_INT32, SCHEMA_FORMAT_INT64 };

struct schema_property {
    struct str name;
    const struct schema_node *node;
    bool required;
};

struct schema_node {
    enum schema_type type;
    enum schema_format format;
    bool nullable, preserve_unknown;
    bool write_only, output_only, immutable; /* x-open-hydra-… */
    bool plain, lines;                       /* a string that people read; line feeds and tabs are allowed */
    bool has_minimum, has_maximum, exclusive_minimum, exclusive_maximum;
    double minimum, maximum;
    uint64_t min_length, max_length; /* characters; of a list or map: items, properties */
    bool has_max_length;
    uint64_t max_bytes;                       /* of its JSON, whatever it is; 0: any */
    const struct schema_property *properties; /* in the definition's order */
    size_t properties_len;
    const struct schema_node *additional; /* additionalProperties; NULL: none allowed (unless preserve_unknown) */
    const struct schema_node *items;
    yyjson_val *allowed;  /* enum; NULL: anything */
    yyjson_val *fallback; /* default; NULL: none */
    const char *pattern_text;
    regex_t *pattern;
};

/* POSIX extended patterns are compiled; what ECMA 262 or RE2 would read otherwise (\d, (?:…), lazy repeats, back
 * references) is refused. A string longer than this is not tried against a pattern: it fails. */
#define SCHEMA_PATTERN_MAX 4096

/* The node lives in the arena, with the JSON schema, which must outlive it. NULL: Invalid, naming the path below
 * `where`. `plain`: strings hold nothing that steers a terminal (base/text.h), unless only the server writes them, or
 * nobody reads them (x-open-hydra-output-only, -write-only). */
const struct schema_node *schema_node_compile(struct arena *a, yyjson_val *schema, const char *where, bool plain,
                                              struct error **err) _must_check_;
/* The schema of a key of an object: its property, or additionalProperties. NULL: unknown. */
const struct schema_node *schema_node_child(const struct schema_node *n, struct str key);
/* The schema of what stands at a path of keys joined by dots. NULL: unknown. */
const struct schema_node *schema_node_at(const struct schema_node *n, const char *path);
