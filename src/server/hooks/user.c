/* OpenHydraUser: the password beside the object, the last administrator, and what goes with a user. */
#include "kinds/user.h"

#include "base/alloc.h"
#include "base/secret.h"
#include "kinds/device.h"
#include "kinds/names.h"
#include "kinds/user.h"
#include "server/accounts/names.h"
#include "server/accounts/password.h"
#include "server/hooks/allocation.h"
#include "server/hooks/device_gone.h"
#include "server/hooks/home_quota.h"
#include "server/hooks/objects.h"
#include "server/hooks/user_gone.h"

/* From the worker thread to the transaction: what the sent password is, against the hash it was compared with. */
struct prepared_password {
    const char *hash;    /* NULL: it is the present one */
    const char *present; /* the hash compared with; NULL: there was none */
};

static char *present_hash(struct store *store, const char *name, struct arena *arena)
{
    _cleanup_object_ struct object *o = store_get(store, PLURAL_USERS, str_from(name));
    size_t n;

    if (o == NULL)
        return NULL;
    _cleanup_free_ char *hash = store_secret(store, SECRET_PASSWORD, str_from(o->uid), &n);
    return hash ? arena_strndup(arena, hash, n) : NULL;
}

static int prepare_password(struct admission *a, const char *name, struct error **err)
{
    const struct hook_context *context = a->context;
    _cleanup_secret_ char *password = a->secrets[0] ? login_password(a->secrets[0]) : NULL;
    struct prepared_password *p = arena_alloc(a->arena, sizeof(*p));

    a->prepared = p;
    if (password == NULL)
        return 0;
    p->present = name ? present_hash(context->store, name, a->arena) : NULL;
    /* A present one that is sent again is older than the rule, perhaps. */
    if (p->present && password_verify(p->present, password))
        return 0;
    if (password_check_given(password, "spec.password", err) < 0)
        return -1;
    _cleanup_free_ char *hash = password_hash(password);
    p->hash = arena_strdup(a->arena, hash);
    return 0;
}

static void end_sessions(const struct hook_context *context, struct store_txn *t, const char *uid, const char *spared)
{
    sessions_end(context->accounts->sessions, t, uid, spared);
}

static int admit_password(struct admission *a, struct store_txn *t, struct error **err)
{
    const struct prepared_password *p = a->prepared;
    const char *uid = json_mut_str_at(a->object, "metadata.uid");

    if (p == NULL || a->secrets[0] == NULL)
        return 0;
    struct str now = txn_secret(t, SECRET_PASSWORD, str_from(uid));
    if (now.p ? !p->present || !str_is(now, p->present) : p->present != NULL)
        return error_set(err, REASON_CONFLICT,
                         "the password was changed by somebody else at the same moment: try again");
    if (p->hash == NULL)
        return 0;
    txn_secret_put(t, SECRET_PASSWORD, str_from(uid), str_from(p->hash));
    bool own = a->old && streq(a->who->uid, uid);
    end_sessions(a->context, t, uid, own ? a->who->session : NULL);
    return 0;
}

struct count_admins {
    const char *but;
    size_t found;
};

static bool count_admin(void *arg, struct object *o)
{
    struct count_admins *c = arg;
    _cleanup_json_ yyjson_doc *doc = json_parse(o->json, NULL);
    struct user u;

    user_read(yyjson_doc_get_root(doc), &u);
    if (u.role == ROLE_ADMIN && !u.deleting && !streq(u.name, c->but))
        c->found++;
    return c->found == 0;
}

static int keep_an_admin(struct admission *a, struct store_txn *t, const char *deed, struct error **err)
{
    struct count_admins c = {.but = json_mut_str_at(a->object, "metadata.name")};

    txn_list(t, PLURAL_USERS, count_admin, &c);
    if (c.found)
        return 0;
    return error_set(err, REASON_FORBIDDEN,
                     "%s is the last administrator and cannot be %s: make another user one first", c.but, deed);
}

static int admit_update(struct admission *a, struct store_txn *t, struct error **err)
{
    bool was = json_int_at(a->old, "spec.role", 0) == ROLE_ADMIN;
    bool is = yyjson_mut_get_sint(json_mut_at(a->object, "spec.role")) == ROLE_ADMIN;

    if (was && !is && keep_an_admin(a, t, "demoted", err) < 0)
        return -1;
    if (home_quota_check(a, err) < 0)
        return -1;
    home_quota_changed(a, t);
    return admit_password(a, t, err);
}

static int admit_create(struct admission *a, struct store_txn *t, struct error **err)
{
    const char *name = json_mut_str_at(a->object, "metadata.name");

    if (allocation_retire_host_ids(t, name))
        admission_warn(a,
                       "a user named %s existed before: its files are kept apart, and the new one begins without any "
                       "(on the server: open-hydra-server homes list)",
                       name);
    if (home_quota_check(a, err) < 0)
        return -1;
    if (a->secrets[0] == NULL && !streq(a->who->name, SETUP_USER))
        admission_warn(a, "spec.password is not set: nobody can log in as %s until it is", name);
    return admit_password(a, t, err);
}

static int admit_delete(struct admission *a, struct store_txn *t, struct error **err)
{
    const char *name = json_mut_str_at(a->object, "metadata.name");
    const char *uid = json_mut_str_at(a->object, "metadata.uid");
    struct str device = txn_secret(t, DEVICE_OF_USER, str_from(name));

    if (yyjson_mut_get_sint(json_mut_at(a->object, "spec.role")) == ROLE_ADMIN &&
        keep_an_admin(a, t, "deleted", err) < 0)
        return -1;
    end_sessions(a->context, t, uid, NULL);
    /* The user goes after its environment: device.c takes this finalizer off then. */
    if (device.p && device_ask_deletion(t, a->context, arena_strndup(a->arena, device.p, device.n)))
        finalizer_add(a->doc, a->object, USER_FINALIZER);
    return 0;
}

static int admit_user(struct admission *a, struct store_txn *t, struct error **err)
{
    switch (a->operation) {
    case OPERATION_CREATE:
        return admit_create(a, t, err);
    case OPERATION_UPDATE:
        return admit_update(a, t, err);
    case OPERATION_DELETE:
        return admit_delete(a, t, err);
    case OPERATION_UPDATE_STATUS:
        return 0;
    }
    return 0;
}

static int user_removed(struct admission *a, struct store_txn *t, struct error **err)
{
    user_forget(t, a->context, json_mut_str_at(a->object, "metadata.name"), json_mut_str_at(a->object, "metadata.uid"));
    return 0;
}

const struct kind_hooks user_hooks = {.prepare = prepare_password, .admit = admit_user, .removed = user_removed};
