#pragma once

#include "server/gateway/pass.h"
#include "server/gateway/port_index.h"
#include "server/gateway/rules.h"
#include "server/identity/identity.h"

/* Whether that pass opens that device, asked at that port and moment (real time). */
struct gateway;
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
