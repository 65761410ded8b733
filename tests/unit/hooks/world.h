#pragma once

#include <stdatomic.h>

#include "server/accounts/sessions.h"
#include "server/hooks/context.h"
#include "unit/api/client.h"

/*
 * The real kinds with their hooks over the API, a store, accounts and the gateway's memory; no runner. Who is asking:
 * header X-User (its uid is looked up; RUNNER is the runner), X-Role; without any an administrator who is no user.
 */
struct world {
    struct fixture f; /* socket and store: what client.h needs */
    struct config config;
    struct kind *kinds[4];
    struct accounts *accounts;
    struct identifier *identifier;
    struct gateway *gateway;
    struct hook_context context;
    uint16_t excluded[2];
    atomic_bool runner_present;
    char session[64]; /* id, of whoever asks; "": none */
    char *hosts[2], *gpu_resources[3];
};
extern struct world world;

/* Ports 31000 to 31000 + `ports` - 1, host id ranges 1 to `ranges` - 1. For cmocka. */
void world_start(unsigned ports, unsigned ranges);
void world_stop(void);
/* Stops and starts on the same database … */
void world_restart(void);
/* … in which that device cannot be read. */
void world_restart_with_damaged(char *device);

#define GROUP "/apis/open-hydra-server.openhydra.io/v1/"
#define RUNNER "system:runner"
#define OURS "open-hydra-server.openhydra.io/environment"
#define OURS_OF_USERS "open-hydra-server.openhydra.io/devices"

/* Each fails with the answer's body where the code is another. PATH is below GROUP, and formatted with the arguments.
 */
struct answer *get(long code, const char *path);
struct answer *create(long code, const char *path, const char *body);
struct answer *create_as(const char *user, int role, long code, const char *path, const char *body);
struct answer *patch(long code, const char *path, const char *body);
struct answer *patch_as(const char *user, long code, const char *path, const char *body);
struct answer *patch_as_student(const char *user, long code, const char *path, const char *body);
struct answer *delete_(long code, const char *path);

/* Role 1 or 2; `password` NULL: none. */
void make_user(const char *name, int role, const char *password);
/* A device named after its owner, by an administrator. */
void make_device(long code, const char *owner);
int64_t port_of(const char *device);
/* What the runner does once the container is gone: takes its finalizer off. */
void runner_lets_go(const char *device);
/* A login: its id. The caller frees. */
char *log_in(const char *user);
bool is_logged_in(const char *session);
/* The caller frees; NULL: there is none. */
char *uid_of(const char *collection, const char *name);
char *secret(const char *scope, const char *key);
