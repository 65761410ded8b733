#pragma once

#include <pthread.h>

#include "base/map.h"
#include "server/gateway/gateway.h"
#include "server/gateway/pass.h"
#include "server/gateway/peers.h"
#include "server/gateway/port_index.h"
#include "server/gateway/rules.h"
#include "server/gateway/ticket.h"

/* A request for a running device of which the runner has not told us yet where it listens (we were started a moment
 * ago). */
struct waiting {
    struct waiting *next;
    struct http_exchange *x;
    char *device_uid;
    int64_t deadline_us; /* monotonic */
    bool ready;
};

struct gateway {
    const struct config *config;
    struct store *store;
    struct identifier *identifier;
    struct gateway_site site;
    struct pass_keys keys;
    _Atomic int64_t clock_offset_us; /* of tests */
    struct peers *peers;
    struct port_index *ports;
    struct tickets *tickets;

    pthread_rwlock_t endpoints_lock;
    struct map *endpoints; /* device uid → struct known_endpoint */

    /* Order of locks: waiting_lock, then endpoints_lock. */
    pthread_mutex_t waiting_lock;
    pthread_cond_t waiting_changed;
    struct waiting *waiting; /* in order of deadline */
    size_t waiting_len;
    bool stopping;
    pthread_t waiter;
};

/* gateway.c */
struct located {
    const char *socket, *token; /* in the arena */
};
bool gateway_locate(struct gateway *g, const char *device_uid, struct arena *arena, struct located *out);

/* Real time, in microseconds; what the tests' stand moves. */
int64_t gateway_now(const struct gateway *g);

/* access.c: whether that pass opens that device, asked at that port and moment (real time). */
struct access {
    uint16_t port;
    int64_t now_us;
    bool work; /* the session lasts on */
};
bool access_allowed(struct gateway *g, const struct pass *p, const struct port_device *d, const struct access *at);
/* Among the cookies of a request there is a pass that does, and is this client's. */
bool access_by_cookie(struct gateway *g, const struct gateway_request *r, const struct port_device *d, int64_t now_us,
                      struct arena *arena, struct pass *out);
/* … or one that was given for a device of the same owner. */
bool access_seen_before(struct gateway *g, const struct gateway_request *r, const struct port_device *d,
                        struct arena *arena);
/* The pass of an identity for a device. */
int access_make(struct gateway *g, const struct identity *who, const struct port_device *d, uint16_t port,
                int64_t now_us, struct pass *out, struct error **err) _must_check_;
/* From now on it is for the client of this request. */
void access_bind(struct gateway *g, const struct gateway_request *r, int64_t now_us, struct arena *arena,
                 struct pass *p);

/* answer.c: auth_request. With `last` it does not wait (again) for an endpoint. */
void answer_request(struct gateway *g, struct http_exchange *x, bool last);
/* open.c: a ticket's link. */
void open_request(struct gateway *g, struct http_exchange *x);

/* waiting.c */
void waiting_start(struct gateway *g);
void waiting_stop(struct gateway *g);
/* Puts the exchange to sleep until the endpoint of that device is told, for some seconds. False: it is there by now, or
 * too many wait. */
bool waiting_add(struct gateway *g, struct http_exchange *x, const char *device_uid);
void waiting_wake(struct gateway *g, const char *device_uid);
