#pragma once

#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"

/*
 * What one caller may have at a time, so that nobody takes the server from the others: a user is counted by uid,
 * wherever the requests come from, and who is none by address (a class behind one address passes). What all users and
 * all strangers together may have is less than there is: the rest is for administrators and the runner, who are not
 * counted.
 *
 * Beside what is held at a time, the time of the event thread that a caller's requests took is counted: whoever used
 * more than a share of it waits.
 *
 * An entry lives as long as its caller holds something or has used time lately; the number of idle ones is bounded.
 */
enum flow_what {
    FLOW_REQUESTS, /* being answered */
    FLOW_WATCHES,
    FLOW_LOGS,   /* readers of environments' logs: each a thread here and one in the runner */
    FLOW_BODIES, /* bytes of request bodies, from the announcement until the answer is out */
    FLOW_WHATS
};

enum flow_rank { FLOW_STRANGER, FLOW_USER, FLOW_RESERVED };

struct flow_caller {
    enum flow_rank rank;
    char name[64]; /* a user's uid; an address */
};
struct flow_caller flow_user(const char *uid);
/* A network of IPv6 (/64) is one caller: a home has that much to itself (RFC 6177). */
struct flow_caller flow_stranger(const char *address);

struct flow;
struct flow *flow_new(void);
/* What is still held is given back afterwards as well. */
void flow_free(struct flow *f);

/* Takes `n` until the arena is freed, which an exchange's is once its answer is out or its stream has ended. Refuses
 * with 429, which limit it was, and when to come again. */
int flow_take(struct flow *f, enum flow_what what, uint64_t n, const struct flow_caller *who, struct arena *until,
              int64_t now_us, struct error **err) _must_check_;
/* The time that a request took of the event thread. */
void flow_charge(struct flow *f, const struct flow_caller *who, int64_t took_us, int64_t now_us);
/* Whether the caller has time left: asked before any work is done for a request. */
int flow_has_time(struct flow *f, const struct flow_caller *who, int64_t now_us, struct error **err) _must_check_;

size_t flow_entries(struct flow *f);
