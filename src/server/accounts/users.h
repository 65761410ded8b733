#pragma once

#include <stdbool.h>

#include "base/arena.h"
#include "server/store/store.h"

/* Who creates the first administrator by the set-up link; the password follows in the same transaction. */
#define SETUP_USER "system:setup"

enum role { ROLE_NONE = 0, ROLE_ADMIN = 1, ROLE_USER = 2, ROLE_RUNNER = 100 };

/* Who may log in: the user objects, as this room sees them. */
struct account {
    const char *name, *uid, *chinese_name; /* in the arena; chinese_name may be NULL */
    int role;                              /* ROLE_ADMIN, ROLE_USER, or ROLE_NONE for any other number */
};
/* False: there is no such user, or it is being deleted. */
bool account_find(struct store *s, const char *name, struct arena *arena, struct account *out);
bool account_find_in_txn(struct store_txn *t, const char *name, struct arena *arena, struct account *out);

/* The administrators; remembers the first one, so that asking costs no look at every user. */
struct admins;
struct admins *admins_new(struct store *s);
void admins_free(struct admins *a);
/* The first one by name. False: there is none. */
bool admins_first(struct admins *a, struct arena *arena, struct account *out);
bool admins_exist_in_txn(struct store_txn *t);
