#include "base/alloc.h"
#include "base/random.h"
#include "base/thread.h"
#include "server/auth/room.h"

#define CODE_BYTES 24

/* The code lives in memory alone: a new start prints a new link, and the old one is worth nothing. */
char *auth_setup_code(struct auth *a)
{
    _cleanup_arena_ struct arena *arena = arena_new();
    struct account admin;

    /* Where nobody is asked who he is, everybody is an administrator already. */
    if (a->config->disable_auth || admins_first(a->admins, arena, &admin))
        return NULL;
    LOCK_SCOPE(&a->setup_lock);
    if (a->setup_code == NULL)
        a->setup_code = random_token(CODE_BYTES);
    return xstrdup(a->setup_code);
}

bool auth_is_setup_code(struct auth *a, const char *code)
{
    LOCK_SCOPE(&a->setup_lock);
    return a->setup_code && str_equal_secret(str_from(code), str_from(a->setup_code));
}

void auth_setup_done(struct auth *a)
{
    LOCK_SCOPE(&a->setup_lock);
    free(a->setup_code);
    a->setup_code = NULL;
}
