#pragma once

#include "base/json.h"
#include "server/accounts/password.h"
#include "server/auth/routes.h"
#include "unit/http/client.h"

#define PASSWORD "correct horse"

/* A store, an API of users without hooks, the rooms of accounts, identity and auth, and their HTTP in front. */
struct world {
    char directory[40];
    char *pki;
    const char *hosts[3];
    struct config config;
    struct store *store;
    struct workers *workers;
    struct kind *users;
    struct api *api;
    struct accounts *accounts;
    struct identifier *identifier;
    struct auth auth;
    struct fixture http, runner;
    char *hash; /* of PASSWORD */
};
struct world *world_new(bool disable_auth);
void world_restart(struct world *w); /* the rooms alone: what the store does not hold is gone */
void world_free(struct world *w);

/* An object and its password's hash (NULL: none), as the user kind's hooks would store them. */
void put_user(struct world *w, const char *name, const char *uid, int role, const char *hash);
void delete_user(struct world *w, const char *name, const char *uid);

/* What came back. */
struct reply {
    unsigned status;
    char *text, *body;
    yyjson_doc *json; /* NULL where the body is none */
};
void reply_clear(struct reply *r);
#define _cleanup_reply_ _cleanup_(reply_clear)
/* A request as nginx passes it on for the dashboard: `headers` are whole lines. `body` NULL: none. */
struct reply ask(struct world *w, const char *method, const char *path, const char *headers, const char *body);
struct reply ask_api(struct world *w, const char *method, const char *path, const char *headers, const char *body);
struct reply ask_on(const struct fixture *f, const char *method, const char *path, const char *headers,
                    const char *body);
/* A header's value up to its line's end; NULL: absent. The caller frees. */
char *header_of(const struct reply *r, const char *name);
const char *string_of(const struct reply *r, const char *path);

/* The headers of a browser that has just logged in. The caller frees. */
char *browser(struct world *w, const char *user, const char *password);
char *headers_of_session(const struct reply *r);
/* «name role uid session» of who a request with these headers is, or «status reason». The caller frees. */
char *whoami(struct world *w, const char *headers);
void assert_is(struct world *w, const char *headers, const char *expected);
/* As if the account's next wrong password had come, from here, a minute later: the wait that it leads to is not over
 * before this machine, however slow, has asked again. */
void fail_later(struct world *w, const char *account);
