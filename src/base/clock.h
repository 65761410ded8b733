#pragma once

#include <stdint.h>

#include "base/str.h"

/* RFC 3339 in UTC: "2026-01-02T03:04:05Z" (metav1.Time) or with microseconds (metav1.MicroTime); NUL included. */
#define TIMESTAMP_SIZE 32

int64_t clock_realtime_us(void);  /* microseconds since 1970 */
int64_t clock_monotonic_us(void); /* for durations and deadlines */
double clock_seconds_since(int64_t monotonic_us);
void timestamp(char out[static TIMESTAMP_SIZE], int64_t realtime_us);
void timestamp_micro(char out[static TIMESTAMP_SIZE], int64_t realtime_us);
/* Reads either form (any number of fraction digits, Z or a numeric offset). Returns 0, or -1 where it is none. */
int timestamp_parse(struct str s, int64_t *realtime_us);
