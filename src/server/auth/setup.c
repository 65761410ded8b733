/* POST /auth/setup: the first administrator, by the code of the set-up link. */
#include <assert.h>

#include "base/log.h"
#include "base/secret.h"
#include "server/accounts/password.h"
#include "server/auth/body.h"
#include "server/auth/calls.h"
#include "server/auth/new_session.h"

#define NAME_MAX_BYTES 63

static yyjson_doc *first_admin(const struct auth_call *c)
{
    _cleanup_json_mut_ yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *root = yyjson_mut_obj(doc);

    yyjson_mut_doc_set_root(doc, root);
    json_mut_set_str(doc, root, "apiVersion", c->auth->user_kind->api_version);
    json_mut_set_str(doc, root, "kind", c->auth->user_kind->kind);
    json_mut_set_str(doc, json_mut_make_obj(doc, root, "metadata"), "name", c->user);
    yyjson_mut_val *spec = json_mut_make_obj(doc, root, "spec");
    json_mut_set_int(doc, spec, "role", ROLE_ADMIN);
    json_mut_set_str(doc, spec, "chineseName", c->chinese_name);
    return yyjson_mut_doc_imut_copy(doc, NULL);
}

static int setup_over(struct error **err)
{
    return error_set(err, REASON_FORBIDDEN, "this set-up link is wrong, was used, or is not needed any more");
}

/* The password goes in as the secret that its hash is, made before: nothing slow belongs on the writer's thread. */
static int store_setup(struct store_txn *t, void *arg, struct error **err)
{
    static const struct identity who = {.name = SETUP_USER, .role = ROLE_ADMIN};
    struct auth_call *c = arg;
    struct auth *a = c->auth;
    _cleanup_arena_ struct arena *arena = arena_new();
    _cleanup_json_ yyjson_doc *doc = first_admin(c);
    struct account account;

    assert(a->api && a->user_kind);
    if (admins_exist_in_txn(t))
        return setup_over(err);
    if (api_create_in_txn(a->api, t, a->user_kind, yyjson_doc_get_root(doc), &who, err) < 0)
        return -1;
    if (!account_find_in_txn(t, c->user, arena, &account))
        return error_set(err, REASON_INTERNAL, "the first administrator is not there");
    txn_secret_put(t, SECRET_PASSWORD, str_from(account.uid), str_from(c->new_hash));
    auth_put_session(c, t, &account, NULL);
    return 0;
}

static void do_setup(void *arg)
{
    struct auth_call *c = arg;
    struct error *err = NULL;

    c->new_hash = password_hash(c->new_password);
    if (store_run(c->auth->accounts->store, store_setup, c, &err) < 0)
        return auth_call_fail(c, err);
    setup_code_end(c->auth->accounts->setup_code);
    log_info("the first administrator, \"%s\", has been set up", c->user);
    auth_reply_new_session(c, 201);
}

static int check_setup(struct auth_call *c, const char *code, struct error **err)
{
    int result = 0;

    if (!setup_code_fits(c->auth->accounts->setup_code, code))
        return setup_over(err);
    if (!is_dns_label(str_from(c->user)))
        result =
            error_add_cause(err, "username", "FieldValueInvalid",
                            "must consist of lower case letters, digits and '-', at most %d, and begin and end with "
                            "a letter or digit",
                            NAME_MAX_BYTES);
    if (password_check(c->new_password, "password", err) < 0)
        result = -1;
    return result;
}

/* A name of somebody new has to be right as it is, blanks around it aside. */
static void trim_name(char *name)
{
    struct str s = str_trim(str_from(name));

    if (name == NULL)
        return;
    memmove(name, s.p, s.n);
    name[s.n] = '\0';
}

static int read_setup_body(struct auth_call *c, struct error **err)
{
    _cleanup_secret_ char *code = NULL;
    _cleanup_json_ yyjson_doc *doc = auth_body_read(c->x, err);
    yyjson_val *body = yyjson_doc_get_root(doc);
    const struct body_string wanted[] = {
        {.name = "code", .place = &code},
        {.name = "username", .place = &c->user},
        {.name = "password", .place = &c->new_password},
        {.name = "chineseName", .place = &c->chinese_name, .optional = true},
        {0},
    };

    if (doc == NULL)
        return -1;
    int result = auth_body_strings(body, wanted, err);
    trim_name(c->user);
    auth_body_trim_password(&c->new_password);
    auth_body_wipe(body);
    return result < 0 ? -1 : check_setup(c, code, err);
}

void auth_call_setup(struct auth *a, struct http_exchange *x)
{
    struct auth_call *c = auth_call_new(a, x);
    struct error *err = NULL;

    if (read_setup_body(c, &err) < 0)
        return auth_call_fail(c, err);
    auth_call_start(c, do_setup);
}
