#pragma once

#include <stdbool.h>

/* What a client wants objects shown as: its Accept header (RFC 9110 §12.5.1, with the parameters as, v and g of
 * Kubernetes). */
enum representation {
    REPRESENT_NONE,     /* it excludes JSON */
    REPRESENT_OBJECT,   /* as stored */
    REPRESENT_TABLE,    /* meta.k8s.io/v1 Table */
    REPRESENT_METADATA, /* meta.k8s.io/v1 PartialObjectMetadata(List) */
};
enum representation negotiate(const char *accept);

/* Whether `accept` names this media type («type/subtype») or covers it by a range, with a quality above 0. */
bool negotiate_accepts(const char *accept, const char *type);
