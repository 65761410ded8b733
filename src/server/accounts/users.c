#include "server/accounts/users.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/json.h"
#include "base/thread.h"
#include "kinds/names.h"
#include "kinds/user.h"

/* A number that is no user's role must not become one of the server's own (ROLE_RUNNER). */
static int known_role(int role)
{
    return role == ROLE_ADMIN || role == ROLE_USER ? role : ROLE_NONE;
}

static bool read_account(const struct object *o, struct arena *arena, struct account *out)
{
    _cleanup_json_ yyjson_doc *doc = json_parse(o->json, NULL);
    struct user user;

    if (doc == NULL)
        return false;
    user_read(yyjson_doc_get_root(doc), &user);
    if (user.deleting || user.name == NULL || user.uid == NULL)
        return false;
    *out = (struct account){arena_strdup_or_null(arena, user.name), arena_strdup_or_null(arena, user.uid),
                            arena_strdup_or_null(arena, user.chinese_name), known_role(user.role)};
    return true;
}

bool account_find(struct store *s, const char *name, struct arena *arena, struct account *out)
{
    _cleanup_object_ struct object *o = store_get(s, PLURAL_USERS, str_from(name));
    return o && read_account(o, arena, out);
}

bool account_find_in_txn(struct store_txn *t, const char *name, struct arena *arena, struct account *out)
{
    const struct object *o = txn_get(t, PLURAL_USERS, str_from(name));
    return o && read_account(o, arena, out);
}

/* --- Administrators --- */

struct admins {
    struct store *store;
    pthread_mutex_t lock;
    char *first;      /* NULL: not known */
    uint64_t none_at; /* revision at which there was none */
    bool looked;
};

struct admin_search {
    struct arena *arena;
    struct account account;
    bool found;
};

static bool look_for_admin(void *arg, struct object *o)
{
    struct admin_search *s = arg;

    s->found = read_account(o, s->arena, &s->account) && s->account.role == ROLE_ADMIN;
    return !s->found;
}

struct admins *admins_new(struct store *s)
{
    struct admins *a = xcalloc(1, sizeof(*a));
    a->store = s;
    pthread_mutex_init(&a->lock, NULL);
    return a;
}

void admins_free(struct admins *a)
{
    if (a == NULL)
        return;
    pthread_mutex_destroy(&a->lock);
    free(a->first);
    free(a);
}

bool admins_exist_in_txn(struct store_txn *t)
{
    _cleanup_arena_ struct arena *arena = arena_new();
    struct admin_search search = {.arena = arena};

    txn_list(t, PLURAL_USERS, look_for_admin, &search);
    return search.found;
}

static char *remembered_admin(struct admins *a)
{
    LOCK_SCOPE(&a->lock);
    return a->first ? xstrdup(a->first) : NULL;
}

static bool none_known(struct admins *a, uint64_t revision)
{
    LOCK_SCOPE(&a->lock);
    return a->looked && a->none_at == revision;
}

static void remember_admin(struct admins *a, const struct admin_search *s, uint64_t revision)
{
    LOCK_SCOPE(&a->lock);
    free(a->first);
    a->first = s->found ? xstrdup(s->account.name) : NULL;
    a->looked = !s->found;
    a->none_at = revision;
}

bool admins_first(struct admins *a, struct arena *arena, struct account *out)
{
    _cleanup_free_ char *first = remembered_admin(a);
    _cleanup_arena_ struct arena *scratch = NULL;

    if (first && account_find(a->store, first, arena, out) && out->role == ROLE_ADMIN)
        return true;
    if (none_known(a, store_revision(a->store)))
        return false;
    scratch = arena_new();
    struct admin_search search = {.arena = scratch};
    uint64_t revision = store_list(a->store, PLURAL_USERS, STR(""), look_for_admin, &search);
    remember_admin(a, &search, revision);
    return search.found && account_find(a->store, search.account.name, arena, out) && out->role == ROLE_ADMIN;
}
