#include "server/identity/roles.h"

#include "base/attributes.h"
#include "base/str.h"
#include "kinds/names.h"
#include "server/accounts/users.h"

/*
 * The table of roles: who may do what with which resource. The first row that fits decides; nothing fits: no.
 * Subresource "" is the object itself, "*" anything. Verbs are one string, "*" is all of them.
 */
struct role_rule {
    int role;
    const char *resource, *subresource, *verbs;
    enum verdict verdict;
};

static const struct role_rule role_rules[] = {
    /* What runner and server tell each other in private is nobody else's, an administrator's included: it holds secret
       tokens and passwords. */
    {ROLE_ADMIN, PLURAL_DEVICES, "endpoint", "*", VERDICT_DENY},
    {ROLE_ADMIN, PLURAL_SANDBOXES, "pullsecret", "*", VERDICT_DENY},
    {ROLE_ADMIN, "*", "*", "*", VERDICT_ALLOW},

    {ROLE_USER, PLURAL_USERS, "", "get list watch", VERDICT_OWN},
    /* update and patch: spec.keepUntil alone (hooks/device_idle.c). */
    {ROLE_USER, PLURAL_DEVICES, "", "get list watch create delete update patch", VERDICT_OWN},
    {ROLE_USER, PLURAL_DEVICES, "status", "get", VERDICT_OWN},
    {ROLE_USER, PLURAL_DEVICES, "ticket", "create", VERDICT_OWN},
    {ROLE_USER, PLURAL_DEVICES, "log", "get", VERDICT_OWN},
    {ROLE_USER, PLURAL_DEVICES, "course", "create", VERDICT_OWN},
    {ROLE_USER, PLURAL_SANDBOXES, "", "get list watch", VERDICT_ALLOW},
    {ROLE_USER, PLURAL_DATASETS, "", "get list watch", VERDICT_ALLOW},
    {ROLE_USER, PLURAL_COURSES, "", "get list watch", VERDICT_ALLOW},

    /* update and patch of a device itself: to take its finalizer off; delete: what nobody uses. */
    {ROLE_RUNNER, PLURAL_DEVICES, "", "get list watch update patch delete", VERDICT_ALLOW},
    {ROLE_RUNNER, PLURAL_DEVICES, "status", "get update patch", VERDICT_ALLOW},
    {ROLE_RUNNER, PLURAL_DEVICES, "endpoint", "*", VERDICT_ALLOW},
    {ROLE_RUNNER, PLURAL_DEVICES, "visits", "get", VERDICT_ALLOW},
    {ROLE_RUNNER, PLURAL_SANDBOXES, "", "get list watch", VERDICT_ALLOW},
    {ROLE_RUNNER, PLURAL_SANDBOXES, "status", "get update patch", VERDICT_ALLOW},
    {ROLE_RUNNER, PLURAL_SANDBOXES, "pullsecret", "get", VERDICT_ALLOW},
    {ROLE_RUNNER, PLURAL_USERS, "", "get list watch", VERDICT_ALLOW},
    /* What is fetched for them. */
    {ROLE_RUNNER, PLURAL_DATASETS, "", "get list watch", VERDICT_ALLOW},
    {ROLE_RUNNER, PLURAL_DATASETS, "status", "get update patch", VERDICT_ALLOW},
    {ROLE_RUNNER, PLURAL_DATASETS, "upload", "update", VERDICT_ALLOW},
    {ROLE_RUNNER, PLURAL_COURSES, "", "get list watch", VERDICT_ALLOW},
    {ROLE_RUNNER, PLURAL_COURSES, "status", "get update patch", VERDICT_ALLOW},
    {ROLE_RUNNER, PLURAL_COURSES, "upload", "update", VERDICT_ALLOW},
    /* It makes the object of its machine, and removes that of a name which the machine had before. */
    {ROLE_RUNNER, PLURAL_HOSTS, "", "get list watch create update patch delete", VERDICT_ALLOW},
    {ROLE_RUNNER, PLURAL_HOSTS, "status", "get update patch", VERDICT_ALLOW},
};

bool roles_reserved(const struct identity *who)
{
    return who->role == ROLE_ADMIN || who->role == ROLE_RUNNER;
}

static bool pattern_fits(const char *pattern, const char *value)
{
    return streq(pattern, "*") || streq(pattern, value);
}

static bool has_verb(const char *verbs, const char *verb)
{
    struct str rest = str_from(verbs), one;

    while (str_split(&rest, ' ', &one))
        if (str_is(one, "*") || str_is(one, verb))
            return true;
    return false;
}

/* Discovery and schemas: for whoever has proved to be somebody. /metrics tells how many there are of everything, and
 * what others do: for administrators. */
static enum verdict authorize_path(const struct identity *who, const char *path)
{
    bool allowed = streq(path, "/metrics") ? who->role == ROLE_ADMIN : who->role != ROLE_NONE;

    return allowed ? VERDICT_ALLOW : VERDICT_DENY;
}

enum verdict roles_authorize(const struct identity *who, const struct attributes *what)
{
    if (what->kind == NULL)
        return authorize_path(who, what->name);

    const char *subresource = what->subresource ? what->subresource : "";
    for (size_t i = 0; i < ARRAY_SIZE(role_rules); i++) {
        const struct role_rule *r = &role_rules[i];
        if (r->role == who->role && pattern_fits(r->resource, what->kind->plural) &&
            pattern_fits(r->subresource, subresource) && has_verb(r->verbs, what->verb))
            return r->verdict;
    }
    return VERDICT_DENY;
}
