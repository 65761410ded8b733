#pragma once

#include "config/config.h"
#include "http/http.h"
#include "server/gateway/endpoint.h"
#include "server/identity/identity.h"
#include "server/store/store.h"

/*
 * What nginx asks before it lets a request through to an environment (auth_request on auth.sock), and its
 * configuration.
 *
 * An environment's address is a port; which device has it is in the store. Where it listens and with which token is
 * told by the runner through the private subresource devices/<name>/endpoint, kept in memory alone, and sent again when
 * the runner reconnects.
 *
 * A right is asked for with every request, but for a WebSocket at its handshake alone. What ends a right (a deleted
 * user, a stopped device) ends the container, and so the connections that are open.
 */
struct gateway;
/* Makes the key of the environments' cookies at first start: not from an event thread. */
struct gateway *gateway_new(const struct config *config, struct store *store, struct identifier *identifier,
                            struct error **err) _must_check_;
/* Answers what is still deferred. After the http servers have stopped, before store and identifier go. */
void gateway_free(struct gateway *g);

/* Every request on auth.sock. Answers or defers (a running device whose endpoint is not known yet, for a few seconds).
 * Headers as http/server.c takes them (32 KiB in all: the address, up to 8 KiB, and of 16 KiB of headers those that
 * nginx.conf names), no body. */
void gateway_handle(struct gateway *g, struct http_exchange *x);

/* Takes a socket of peers_socket (peers.h); before anything is handled. Without it users of this machine are not told
 * apart. */
void gateway_set_peers(struct gateway *g, int fd);
/* For tests: as if it were that much later. */
void gateway_move_clock(struct gateway *g, int64_t us);

/* From the runner: all of a device. The first is where its address leads. Checks that each lies where it may. */
#define ENDPOINTS_MAX 16
int gateway_set_endpoints(struct gateway *g, const char *device_uid, const struct endpoint *list, size_t n,
                          struct error **err) _must_check_;
void gateway_forget_endpoints(struct gateway *g, const char *device_uid);
/* When somebody last opened a page of it, or sent it anything (not what an open page asks for by itself), in
 * microseconds since 1970; 0: not since this server has known where it is. */
int64_t gateway_last_visit(struct gateway *g, const char *device_uid);

/* A one-use link to a device's environment for that caller, 60 s: at one of its ports; 0: its first. The caller frees.
 * NULL with a reason where it has no such address. */
char *gateway_ticket(struct gateway *g, struct object *object, uint16_t port, const struct identity *who,
                     int64_t *expires_us, struct error **err);

/* nginx.conf for this configuration, complete: browser ports, API port, environments, error pages. `prefix` is nginx's
 * working directory (temporary files, pid, pages). Pure: tested by `nginx -t`. The caller frees. Start it as `nginx -e
 * stderr -p PREFIX -c PREFIX/nginx.conf`, as the user that shall serve: the master needs no privileges either, and so
 * serves ports from 1024 on. SIGHUP reloads: open WebSockets stay with the old workers as long as they last. */
struct nginx_options {
    const struct config *config;
    const char *prefix; /* writable by the gateway's user */
    const char *pid;    /* its file with the master's number; NULL: in the prefix */
    const char *gateway_socket, *auth_socket;
    const char *web, *pages;  /* folders of the dashboard's files and of the static error pages */
    const char *pki;          /* DATA/pki, or a copy that the gateway's user may read */
    const uint16_t *excluded; /* ports of the environments' range that others have (gateway_probe_ports) */
    size_t excluded_len;
    unsigned workers; /* 0: one for each core */
    unsigned nofile;  /* hard limit of descriptors for the process; 0: 16384 */
};
char *nginx_configuration(const struct nginx_options *options, struct error **err) _must_check_;

/* Which ports of the environments' range are taken by others: tries to bind each. Puts at most `max` into `taken`,
 * returns their number, or -1 where the address itself is none of this machine. Only while our own nginx is not
 * running. */
int gateway_probe_ports(const struct config *config, uint16_t *taken, size_t max, struct error **err) _must_check_;
/* One address; 0 where it is free, else the errno of bind. */
int gateway_probe_port(const char *host, uint16_t port);
