#pragma once

#include <stdint.h>

#include "base/arena.h"
#include "base/str.h"

/*
 * What lets a browser into one environment: who it is, and for which device at which port. It travels as a cookie,
 * signed and not stored (keyed BLAKE2b): a restart of the server forgets none, and what it claims is looked
 * at again with every request (the session, the user, the right), so that it can be no more than its bearer is at that
 * moment.
 *
 * Cookies know no ports: whatever listens on a port of this host is sent it by a page that asks for an image there. So
 * it is good for the client alone that it was given to (client.h), and lives for an hour; used, it is renewed with the
 * answer. An hour, since a Jupyter whose tab is hidden asks for nothing: a lesson fits in.
 *
 * One cookie for each port, with the port in its name: a newer one replaces the older. All of them are sent to every
 * port, and a teacher looks into many environments, so that they have to be short: what is only compared (uids) is in
 * it as a keyed hash.
 */
typedef uint64_t pass_mark; /* of a string; 0: there is none */

struct pass {
    pass_mark device, owner; /* their uids; owner: the user whose port it was */
    pass_mark user_uid;      /* 0: no object (a client certificate's administrator) */
    pass_mark password;      /* where there is no session: changes with the password; 0: none */
    pass_mark clients[2];    /* who may bear it: the last, and the one before (0: none): some have two addresses */
    const char *user;        /* name */
    const char *session;     /* id; "": none. Without a user's object: the certificate's serial number */
    uint8_t role;
    uint16_t port;
    int64_t expires_us; /* real time, in whole seconds once sealed */
    int64_t ends_us;    /* likewise: it is renewed no further */
};

#define PASS_SECONDS 3600
#define PASS_RENEWED_SECONDS 300 /* a younger one is not renewed: an answer's header less */

#define PASS_KEY_BYTES 32
struct pass_keys {
    unsigned char seal[PASS_KEY_BYTES];
    unsigned char mark[16];
};
void pass_keys_derive(struct pass_keys *keys, const unsigned char master[static PASS_KEY_BYTES]);
pass_mark pass_mark_of(const struct pass_keys *keys, const char *text);

/* How many a browser may hold; the cookies of ports that were opened longest ago are taken back. In bytes that is well
 * below what one header line may hold (nginx.conf.in, large_client_header_buffers). */
#define PASSES_MAX 32

bool pass_fits_client(const struct pass *p, pass_mark client);
/* Opened once more by that client: the one before keeps its way in, if it was another. */
void pass_add_client(struct pass *p, pass_mark client);
/* Worth a new cookie: `p` has its new end then. */
bool pass_renew(struct pass *p, int64_t now_us);

const char *pass_cookie_name(struct arena *arena, bool secure, uint16_t port);
/* The cookie's value; in the arena. */
const char *pass_seal(struct arena *arena, const struct pass_keys *keys, const struct pass *p);
/* Returns 0, or -1 where the value is not of our making. An expired one opens too: its owner is still a fact. */
int pass_open(struct arena *arena, const struct pass_keys *keys, struct str value, struct pass *out) _must_check_;
/* Cuts the next one of our making for that port (0: for any) off a Cookie header. A page can plant others of that name,
 * an older owner's own among them: whoever asks goes on until one is good. -1: no more. */
int pass_next(struct arena *arena, const struct pass_keys *keys, struct str *cookies, bool secure, uint16_t port,
              struct pass *out) _must_check_;
/* Set-Cookie values: the pass, and the end of one. */
const char *pass_set_cookie(struct arena *arena, const struct pass_keys *keys, const struct pass *p, bool secure,
                            int64_t now_us);
const char *pass_end_cookie(struct arena *arena, bool secure, uint16_t port);
