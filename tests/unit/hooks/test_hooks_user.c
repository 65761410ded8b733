/* What belongs to a user: the password, the last administrator, and what goes with a user. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "server/accounts/password.h"
#include "unit/hooks/world.h"

static int setup(void **state)
{
    world_start(8, 16);
    return 0;
}

static int teardown(void **state)
{
    world_stop();
    return 0;
}

static bool has_password(const char *user, const char *password)
{
    _cleanup_free_ char *uid = uid_of(PLURAL_USERS, user), *hash = uid ? secret(SECRET_PASSWORD, uid) : NULL;

    return hash && password_verify(hash, password);
}

/* --- Passwords --- */

static void a_password_is_set_kept_and_changed(void **state)
{
    make_user("anna", 2, "the first one");
    assert_true(has_password("anna", "the first one"));
    patch(200, "openhydrausers/anna", "{\"spec\":{\"email\":\"a@b\"}}");
    patch(200, "openhydrausers/anna", "{\"spec\":{\"password\":\"\"}}");
    assert_true(has_password("anna", "the first one"));
    patch(200, "openhydrausers/anna", "{\"spec\":{\"password\":\"the second one\"}}");
    assert_true(has_password("anna", "the second one"));
    patch(200, "openhydrausers/anna?dryRun=All", "{\"spec\":{\"password\":\"the third one\"}}");
    assert_true(has_password("anna", "the second one"));
    assert_false(answer_has(get(200, "openhydrausers/anna"), "the second"));
}

/* Whoever changes the own password stays logged in here, and nowhere else; changed by somebody else: nowhere. */
static void a_new_password_ends_sessions(void **state)
{
    make_user("anna", 1, "the first one");
    make_user("bert", 1, "the first one");
    _cleanup_free_ char *here = log_in("anna"), *there = log_in("anna"), *other = log_in("bert");

    snprintf(world.session, sizeof(world.session), "%s", here);
    patch_as("anna", 200, "openhydrausers/anna",
             "{\"spec\":{\"password\":\"the first one\"}}"); /* the same: nothing changes */
    assert_true(is_logged_in(here) && is_logged_in(there));
    patch_as("anna", 200, "openhydrausers/anna", "{\"spec\":{\"password\":\"the second one\"}}");
    assert_true(is_logged_in(here));
    assert_false(is_logged_in(there));
    assert_true(is_logged_in(other));
    /* Of somebody else: all, though the session that asks goes on. */
    patch_as("anna", 200, "openhydrausers/bert", "{\"spec\":{\"password\":\"the second one\"}}");
    assert_false(is_logged_in(other));
    assert_true(is_logged_in(here));
    patch_as("bert", 200, "openhydrausers/anna", "{\"spec\":{\"password\":\"the third one\"}}");
    assert_false(is_logged_in(here));
}

/* A change on its way from the worker, where it was hashed, to the writer. */
struct pending {
    struct arena *arena;
    struct admission a;
    const char *secrets[1];
    yyjson_doc *old;
};

static void hash(struct pending *p, const char *name, const char *password)
{
    static const struct identity who = {.name = "tester", .role = ROLE_ADMIN};
    _cleanup_object_ struct object *o = store_get(world.f.store, PLURAL_USERS, str_from(name));

    p->arena = arena_new();
    p->secrets[0] = password;
    p->old = json_parse(o->json, NULL);
    p->a = (struct admission){.operation = OPERATION_UPDATE,
                              .kind = world.kinds[0],
                              .who = &who,
                              .old = yyjson_doc_get_root(p->old),
                              .doc = yyjson_doc_mut_copy(p->old, NULL),
                              .arena = p->arena,
                              .context = &world.context,
                              .secrets = p->secrets};
    p->a.object = yyjson_mut_doc_get_root(p->a.doc);
    assert_int_equal(user_hooks.prepare(&p->a, name, NULL), 0);
}

static int admit(struct store_txn *t, void *arg, struct error **err)
{
    return user_hooks.admit(arg, t, err);
}

static void apply(struct pending *p, int expected)
{
    _cleanup_error_ struct error *err = NULL;

    assert_int_equal(store_run(world.f.store, admit, &p->a, &err), expected);
    if (expected < 0)
        assert_int_equal(err->reason, REASON_CONFLICT);
    yyjson_mut_doc_free(p->a.doc);
    yyjson_doc_free(p->old);
    arena_free(p->arena);
}

/* Of two changes at once the second is told, rather than lost or believed in. */
static void two_new_passwords_at_once(void **state)
{
    struct pending first, second, same;

    make_user("anna", 2, "the old one");
    hash(&first, "anna", "number one");
    hash(&second, "anna", "number two");
    hash(&same, "anna", "the old one"); /* found to be the present one: no more it is */
    apply(&first, 0);
    apply(&second, -1);
    apply(&same, -1);
    assert_true(has_password("anna", "number one"));
    /* Likewise where there was none. */
    make_user("bert", 2, NULL);
    hash(&first, "bert", "number one");
    hash(&second, "bert", "number two");
    apply(&first, 0);
    apply(&second, -1);
    assert_true(has_password("bert", "number one"));
    hash(&same, "bert", "number one");
    apply(&same, 0);
}

static void who_cannot_log_in_is_said(void **state)
{
    struct answer *a = create(201, "openhydrausers", "{\"metadata\":{\"name\":\"anna\"},\"spec\":{\"role\":2}}");

    assert_true(answer_has_header(a, "nobody can log in as anna"));
    a = create(201, "openhydrausers",
               "{\"metadata\":{\"name\":\"bert\"},\"spec\":{\"role\":2,\"password\":\"long enough\"}}");
    assert_false(answer_has_header(a, "Warning"));
}

/* --- The last administrator --- */

static void the_last_administrator_stays(void **state)
{
    make_user("anna", 1, NULL);
    make_user("carl", 2, NULL);
    patch(403, "openhydrausers/anna", "{\"spec\":{\"role\":2}}");
    delete_(403, "openhydrausers/anna");
    patch(200, "openhydrausers/anna", "{\"spec\":{\"email\":\"a@b\"}}");
    patch(200, "openhydrausers/carl", "{\"spec\":{\"role\":1}}");
    patch(200, "openhydrausers/anna", "{\"spec\":{\"role\":2}}");
    delete_(200, "openhydrausers/anna");
    delete_(403, "openhydrausers/carl");
}

/* One who is on the way out is none any more. */
static void an_administrator_being_deleted_does_not_count(void **state)
{
    make_user("anna", 1, NULL);
    make_user("bert", 1, NULL);
    make_device(201, "bert");
    delete_(200, "openhydrausers/bert");
    assert_true(answer_has(get(200, "openhydrausers/bert"), "deletionTimestamp"));
    patch(403, "openhydrausers/anna", "{\"spec\":{\"role\":2}}");
    delete_(403, "openhydrausers/anna");
    runner_lets_go("bert");
    get(404, "openhydrausers/bert");
    delete_(403, "openhydrausers/anna");
}

/* --- What goes with a user --- */

static void nothing_stays_of_a_user(void **state)
{
    make_user("anna", 2, "a good secret");
    make_user("bert", 2, "a good secret");
    _cleanup_free_ char *uid = uid_of(PLURAL_USERS, "anna"), *session = log_in("anna"), *other = log_in("bert");
    make_device(201, "anna");
    delete_(200, "openhydrausers/anna");
    /* Sessions end when it is asked for, not once the environment has gone. */
    assert_false(is_logged_in(session));
    assert_true(is_logged_in(other));
    get(200, "openhydrausers/anna");
    runner_lets_go("anna");
    get(404, "openhydrausers/anna");
    get(404, "devices/anna");
    assert_null(secret(SECRET_PASSWORD, uid));
    assert_null(secret("port", "anna"));
    assert_null(secret("device-of-user", "anna"));
    assert_true(has_password("bert", "a good secret"));
    /* Without an environment at once. */
    _cleanup_free_ char *second = uid_of(PLURAL_USERS, "bert");
    delete_(200, "openhydrausers/bert");
    get(404, "openhydrausers/bert");
    assert_null(secret(SECRET_PASSWORD, second));
    assert_false(is_logged_in(other));
    /* The files stay; whoever has the name next does not get them, and whoever made that one is told. */
    struct answer *a = create(201, "openhydrausers",
                              "{\"metadata\":{\"name\":\"anna\"},\"spec\":{\"role\":2,\"password\":\"long enough\"}}");
    assert_true(answer_has_header(a, "a user named anna existed before"));
}

static void assert_finalizers(const char *path, const char *expected)
{
    struct answer *a = get(200, path);
    size_t n;
    yyjson_val *list = json_at(yyjson_doc_get_root(a->doc), "metadata.finalizers");
    _cleanup_free_ char *text = list ? json_write(list, &n) : NULL;

    assert_string_equal(text ? text : "", expected);
}

/* Finalizers of others are kept, and honoured, in whatever order all let go. */
static void finalizers_of_others_hold_a_user(void **state)
{
    static const char body[] = "{\"metadata\":{\"name\":\"anna\",\"finalizers\":[\"example.org/keep\"]},"
                               "\"spec\":{\"role\":2,\"password\":\"a good secret\"}}";

    create(201, "openhydrausers", body);
    make_device(201, "anna");
    _cleanup_free_ char *uid = uid_of(PLURAL_USERS, "anna");
    delete_(200, "openhydrausers/anna");
    assert_finalizers("openhydrausers/anna", "[\"example.org/keep\",\"" OURS_OF_USERS "\"]");
    runner_lets_go("anna");
    get(404, "devices/anna");
    assert_finalizers("openhydrausers/anna", "[\"example.org/keep\"]");
    _cleanup_free_ char *hash = secret(SECRET_PASSWORD, uid);
    assert_non_null(hash);
    make_device(409, "anna"); /* a user who goes gets none */
    patch(200, "openhydrausers/anna", "{\"metadata\":{\"finalizers\":null}}");
    get(404, "openhydrausers/anna");
    assert_null(secret(SECRET_PASSWORD, uid));
    assert_null(secret("port", "anna"));
    /* The other way round. */
    create(201, "openhydrausers", body);
    make_device(201, "anna");
    delete_(200, "openhydrausers/anna");
    patch(200, "openhydrausers/anna", "{\"metadata\":{\"finalizers\":[\"" OURS_OF_USERS "\"]}}");
    get(200, "openhydrausers/anna");
    runner_lets_go("anna");
    get(404, "openhydrausers/anna");
    /* And without an environment: ours is not needed. */
    create(201, "openhydrausers", body);
    delete_(200, "openhydrausers/anna");
    assert_finalizers("openhydrausers/anna", "[\"example.org/keep\"]");
    patch(200, "openhydrausers/anna", "{\"metadata\":{\"finalizers\":[]}}");
    get(404, "openhydrausers/anna");
}

/* A device of which ours was taken off by force holds nobody. */
static void a_device_without_finalizers_goes_with_its_user(void **state)
{
    make_user("anna", 2, NULL);
    make_device(201, "anna");
    patch(200, "devices/anna", "{\"metadata\":{\"finalizers\":null}}");
    delete_(200, "openhydrausers/anna");
    get(404, "devices/anna");
    get(404, "openhydrausers/anna");
    make_user("anna", 2, NULL);
    make_device(201, "anna");
}

/* An environment that ends does not take a user along who stays. */
static void a_user_outlives_the_own_environment(void **state)
{
    make_user("anna", 2, "a good secret");
    patch(200, "openhydrausers/anna", "{\"metadata\":{\"finalizers\":[\"" OURS_OF_USERS "\"]}}"); /* by hand */
    make_device(201, "anna");
    delete_(200, "devices/anna");
    runner_lets_go("anna");
    get(404, "devices/anna");
    get(200, "openhydrausers/anna");
    assert_true(has_password("anna", "a good secret"));
    make_device(201, "anna");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(a_password_is_set_kept_and_changed),
        TEST(a_new_password_ends_sessions),
        TEST(two_new_passwords_at_once),
        TEST(who_cannot_log_in_is_said),
        TEST(the_last_administrator_stays),
        TEST(an_administrator_being_deleted_does_not_count),
        TEST(nothing_stays_of_a_user),
        TEST(finalizers_of_others_hold_a_user),
        TEST(a_device_without_finalizers_goes_with_its_user),
        TEST(a_user_outlives_the_own_environment),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
