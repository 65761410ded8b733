#pragma once

#include "config/config.h"
#include "server/auth/auth.h"
#include "http/http.h"
#include "server/store/store.h"

/*
 * What nginx asks before it lets a request through to an environment (auth_request on auth.sock), and its configuration.
 *
 * An environment's address is a port; which device has it is in the store. Where it listens and with which token is told by the
 * runner through the private subresource devices/<name>/endpoint, kept in memory alone, and sent again when the runner
 * reconnects.
 */
struct gateway;
struct gateway *gateway_new(const struct config *config, struct store *store, struct auth *auth, struct error **err) _must_check_;
void gateway_free(struct gateway *g);

/* Every request on auth.sock. Answers or defers (a running device whose endpoint is not known yet, for a few seconds). */
void gateway_handle(struct gateway *g, struct http_exchange *x);

struct endpoint {
    const char *device_uid;
    const char *socket; /* absolute path inside the runtime directory's env/ */
    const char *token;
};
/* From the runner. Checks that the socket lies where it may. */
int gateway_set_endpoint(struct gateway *g, const char *device, const struct endpoint *e, struct error **err) _must_check_;
void gateway_forget_endpoint(struct gateway *g, const char *device_uid);

/* A one-use link to a device's environment for that caller, 60 s. The caller frees. NULL with a reason where it has no address. */
char *gateway_ticket(struct gateway *g, struct object *device, const struct identity *who, int64_t *expires_us, struct error **err);

/* nginx.conf for this configuration, complete: browser ports, API port, environments, error pages. `prefix` is nginx's working
 * directory (temporary files, pid, pages). Pure: tested by `nginx -t`. The caller frees. */
struct nginx_options {
    const struct config *config;
    const char *prefix;            /* writable by the gateway's user */
    const char *gateway_socket, *auth_socket;
    const char *pages;             /* folder of the static error pages */
    const char *pki;               /* DATA/pki, or a copy that the gateway's user may read */
};
char *nginx_configuration(const struct nginx_options *options, struct error **err) _must_check_;
