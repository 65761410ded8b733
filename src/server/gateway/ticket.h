#pragma once

#include "base/error.h"
#include "server/gateway/pass.h"

/*
 * One-use links. In memory alone: one that a restart of the server loses is asked for again. At most TICKETS_MAX at a
 * time, and TICKETS_PER_USER of one user (the oldest goes), so that nobody takes all of them.
 */
#define TICKET_SECONDS 60
#define TICKETS_MAX 8192
#define TICKETS_PER_USER 16

struct tickets;
struct tickets *tickets_new(void);
void tickets_free(struct tickets *t);
size_t tickets_count(struct tickets *t);

/* The strings of `p` are copied. The caller frees the text that goes into the link. `now_us` is monotonic time. */
char *tickets_issue(struct tickets *t, const struct pass *p, int64_t now_us, struct error **err) _must_check_;
/* Takes it out, whatever comes of it. Returns 0 and its pass (in the arena), or -1: never made, used, expired or for
 * another port (that one stays: it was not what was tried to open). */
int tickets_redeem(struct tickets *t, struct str text, uint16_t port, int64_t now_us, struct arena *arena,
                   struct pass *out) _must_check_;
