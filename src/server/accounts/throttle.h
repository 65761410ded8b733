#pragma once

#include <stdint.h>

/*
 * Slows down whoever guesses passwords, and nobody else for long. Counted are, each in a table of its own whose longest
 * untouched entry goes first:
 *
 *   account and address together   a few are free, then each doubles the wait: refused until it is over
 *   an account from anywhere       many are free, then each attempt waits for some seconds, and is never refused
 *   an address, all accounts       many are free, then one after the other, so fast that a class gets through meanwhile
 *   a browser that the account has logged in from before (familiar.h): counted by itself, so that a stranger's
 *                                  guesses do not matter to it; having guessed itself, it is a stranger again
 *
 * An address from which the account has logged in waits for itself alone. Failures are forgiven with time. An IPv6
 * network of 64 bits is one address.
 */
struct throttle;
struct throttle *throttle_new(void);
void throttle_free(struct throttle *t);

struct throttle_attempt {
    const char *account, *address;
    const char *browser; /* of a familiar one: what tells it from others; NULL: a stranger */
};
struct throttle_verdict {
    unsigned refused; /* seconds until another try is worth while: nothing was counted, the password is not looked at */
    int64_t wait_us;  /* else: before it is looked at */
};
/* Counts an attempt as failed until it is known better, so that many at the same time get no further than one after the
 * other. */
struct throttle_verdict throttle_begin(struct throttle *t, const struct throttle_attempt *attempt, int64_t now_us);
/* The attempt was right: account and address together start anew, the others get this one back. */
void throttle_succeeded(struct throttle *t, const struct throttle_attempt *attempt, int64_t now_us);
