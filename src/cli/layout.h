#pragma once

#include <sys/types.h>

#include "cli/rootless.h"
#include "config/config.h"

/*
 * Where everything lies, and who may go there. As root:
 *
 *   DATA/             0711 root      kubeconfig 0600
 *   DATA/server/      0700 server    the database
 *   DATA/pki/         0755 root      certificates; private keys 0600
 *   DATA/gateway/     0700 gateway   nginx: configuration, copies of its key and certificate, pages, temporary files
 *                                    (written by its user alone: handover.h)
 *   DATA/workspace/   0700 root      the homes (the runner makes what is in it)
 *   RUNTIME/          0711 root           data 0600: which DATA the environments are of (claim.h)
 *   RUNTIME/gateway/  0710 root:gateway   gateway.sock, auth.sock
 *   RUNTIME/nginx.lock 0600 root          held by all processes of one nginx, so that a later start knows them
 *   RUNTIME/nginx/    0700 gateway        nginx.pid: here a full disk keeps no nginx from starting
 *   RUNTIME/runner/   0700 root           runner.sock
 *   RUNTIME/engine/   0700 root           engine.sock, where the engine's service is our own
 *   RUNTIME/server/   0710 root:server    logs.sock
 *   RUNTIME/env/      0710 root:gateway   one folder for each environment
 *
 * As an ordinary user all of it is that user's.
 */
struct layout {
    bool privileged;
    uid_t server_id, gateway_id; /* of the service users; our own without root */
    struct rootless *rootless;   /* NULL as root, and where it was not looked for */
    char *server_state, *pki, *gateway, *kubeconfig, *nginx_pid, *nginx_lock;
    char *gateway_socket, *auth_socket, *runner_socket, *logs_socket, *environments, *excluded_ports, *lock, *data_lock,
        *claim;
};

struct layout *layout_new(const struct config *c);
void layout_free(struct layout *l);
/* Makes the folders, and gives what is in those of others back to them (repair.h). */
int layout_make(const struct layout *l, const struct config *c, struct error **err) _must_check_;
/* One set of processes for a runtime directory: holds the lock until the descriptor is closed. */
int layout_lock(const struct layout *l, struct error **err) _must_check_;
/* The same for the data: before anything is written that another one with the same data reads. */
int layout_lock_data(const struct layout *l, struct error **err) _must_check_;

/* Listening sockets, in an array in this order. */
enum { SOCKET_GATEWAY, SOCKET_AUTH, SOCKET_RUNNER, SOCKET_LOGS, SOCKETS };
/* Sockets that a service manager opened belong to the same clients, whatever numbers its files name. */
int layout_give_sockets(const struct layout *l, const int fds[static SOCKETS], struct error **err) _must_check_;
int layout_listen(const struct layout *l, int fds[static SOCKETS], struct error **err) _must_check_;
