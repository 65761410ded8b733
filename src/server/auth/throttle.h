#pragma once

#include <stdint.h>

/*
 * Slows down guessing of passwords, per account and per client address: after a number of free failures each further
 * one doubles the wait, up to a minute. Failures are forgiven with time. An account is never shut for good (that would
 * let anybody lock out a teacher), and an address gets many more free ones (a class often comes from one). Memory is
 * bounded: the longest untouched entry goes first.
 */
struct throttle;
struct throttle *throttle_new(void);
void throttle_free(struct throttle *t);

/* Counts an attempt as failed until it is known better, so that many at the same time get no further than one after the
 * other. Returns 0, or the seconds to wait: then nothing was counted and the password must not be looked at. */
unsigned throttle_begin(struct throttle *t, const char *account, const char *address, int64_t now_us);
/* The attempt was right: the account starts anew, the address gets this one back. */
void throttle_succeeded(struct throttle *t, const char *account, const char *address, int64_t now_us);
