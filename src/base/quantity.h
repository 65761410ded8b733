#pragma once

#include <stdint.h>

#include "base/str.h"

/* Bytes as Kubernetes writes quantities: «1Gi», «1.5G», «1073741824»; up to three digits behind the point, no exponents.
 * -1: it is none, or more than `max`. */
int quantity_parse(struct str s, uint64_t max, uint64_t *out);

/* So much, or a share of something that is known later: «1Gi», «50%». Both 0: nothing is said. */
struct portion {
    uint64_t bytes;
    unsigned percent; /* 1 to 100 */
};
#define PORTION_IS "a quantity of bytes (\"1Gi\") or a share (\"50%\")"
#define PORTION_MIN ((uint64_t)64 << 10)
#define PORTION_MAX ((uint64_t)1 << 44)
/* PORTION_MIN to PORTION_MAX, or 1% to 100%; -1: it is none of these. */
int portion_parse(struct str s, struct portion *out);
/* Never more than the whole. Nothing said: 0. */
uint64_t portion_of(const struct portion *p, uint64_t whole);
