/* Addresses by which browsers come to another proxy before ours. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/io.h"
#include "config/public.h"

static struct config *load(const char *yaml, struct error **err)
{
    char path[] = "/tmp/open-hydra-public-XXXXXX";
    int fd = mkstemp(path);

    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(write_file_atomic(path, str_from(yaml), 0600, NULL), 0);
    struct config *c = config_load(&(struct config_flags){.file = path, .data = "/srv/state"}, err);
    unlink(path);
    return c;
}

static void assert_refused(const char *yaml, const char *key, const char *part)
{
    _cleanup_error_ struct error *err = NULL;
    struct config *c = load(yaml, &err);

    if (c)
        fail_msg("%s was taken", yaml);
    if (!starts_with(err->message, key) || !strstr(err->message, part))
        fail_msg("%s: \"%s\" does not say \"%s\"", yaml, err->message, part);
}

static void as_browsers_write_them(void **state)
{
    static const struct {
        const char *dashboard, *environments;       /* as said */
        const char *origin, *first, *last, *source; /* as browsers write */
    } rows[] = {
        {"https://hydra.school.example", NULL, "https://hydra.school.example", "https://hydra.school.example:31000",
         "https://hydra.school.example:31999", "https://hydra.school.example:*"},
        {"HTTPS://Hydra.School.example:443/", NULL, "https://hydra.school.example",
         "https://hydra.school.example:31000", "https://hydra.school.example:31999", "https://hydra.school.example:*"},
        {"https://hydra.school.example:8443", NULL, "https://hydra.school.example:8443",
         "https://hydra.school.example:31000", "https://hydra.school.example:31999", "https://hydra.school.example:*"},
        {"https://192.0.2.7", NULL, "https://192.0.2.7", "https://192.0.2.7:31000", "https://192.0.2.7:31999",
         "https://192.0.2.7:*"},
        {"https://[2001:DB8::7]", NULL, "https://[2001:db8::7]", "https://[2001:db8::7]:31000",
         "https://[2001:db8::7]:31999", "https:"},
        {"http://localhost:8080", NULL, "http://localhost:8080", "http://localhost:31000", "http://localhost:31999",
         "http://localhost:*"},
        {"https://hydra.school.example", "https://lab.school.example:{port}/", "https://hydra.school.example",
         "https://lab.school.example:31000", "https://lab.school.example:31999", "https://lab.school.example:*"},
        {"https://hydra.school.example", "https://{port}.hydra.school.example:443", "https://hydra.school.example",
         "https://31000.hydra.school.example", "https://31999.hydra.school.example", "https://*.hydra.school.example"},
        {"https://school.example", "https://Env-{port}-x.school.example:8443", "https://school.example",
         "https://env-31000-x.school.example:8443", "https://env-31999-x.school.example:8443",
         "https://*.school.example:8443"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        _cleanup_free_ char *second =
            rows[i].environments ? xasprintf("environmentPublicAddress: %s\n", rows[i].environments) : xstrdup("");
        _cleanup_free_ char *yaml = xasprintf("publicAddress: '%s'\n%s", rows[i].dashboard, second);
        _cleanup_error_ struct error *err = NULL;
        struct config *c = load(yaml, &err);
        if (c == NULL)
            fail_msg("%s: %s", yaml, err->message);
        _cleanup_free_ char *dashboard = config_dashboard_origin(c), *first = config_environment_origin(c, 31000);
        _cleanup_free_ char *last = config_environment_url(c, 31999), *source = public_environment_source(c);
        assert_string_equal(dashboard, rows[i].origin);
        assert_string_equal(first, rows[i].first);
        assert_string_equal(last, rows[i].last);
        assert_string_equal(source, rows[i].source);
        config_free(c);
    }
}

static void a_scheme_s_own_port_is_left_out(void **state)
{
    struct config *c =
        load("publicAddress: https://hydra.school.example:8443\nenvironmentListen: 127.0.0.1:443-444\n", NULL);
    _cleanup_free_ char *own = config_environment_origin(c, 443), *other = config_environment_origin(c, 444);

    assert_string_equal(own, "https://hydra.school.example");
    assert_string_equal(other, "https://hydra.school.example:444");
    config_free(c);
}

static void wrong_addresses_name_their_key(void **state)
{
    static const char *const wrong[] = {"hydra.school.example",
                                        "ftp://hydra.school.example",
                                        "https://",
                                        "https://:443",
                                        "https://a b.example",
                                        "https://me@hydra.school.example",
                                        "https://hydra.school.example:0",
                                        "https://hydra.school.example:65536",
                                        "https://hydra.school.example:x",
                                        "https://学校.example",
                                        "https://[::1",
                                        "https://[192.0.2.7]",
                                        "https://-x.example",
                                        "https://a..example",
                                        "https://{port}.school.example",
                                        "https://a;b.example",
                                        "https://a$b.example",
                                        "//hydra.school.example",
                                        "https:hydra.school.example"};
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
        _cleanup_free_ char *yaml = xasprintf("publicAddress: '%s'\n", wrong[i]);
        assert_refused(yaml, "publicAddress: ", "expected https://HOST");
    }
#define SCHOOL "publicAddress: https://hydra.school.example\n"
    static const char *const wrong_pattern[] = {"https://hydra.school.example",
                                                "https://{port}.{port}.school.example",
                                                "https://lab.{port}.school.example",
                                                "https://{port}",
                                                "https://hydra.school.example:3{port}",
                                                "https://hydra.school.example:{port}0",
                                                "{port}",
                                                "https://-{port}.school.example"};
    for (size_t i = 0; i < ARRAY_SIZE(wrong_pattern); i++) {
        _cleanup_free_ char *yaml = xasprintf(SCHOOL "environmentPublicAddress: '%s'\n", wrong_pattern[i]);
        assert_refused(yaml, "environmentPublicAddress: ", "expected https://HOST");
    }
}

static void below_a_path_is_impossible(void **state)
{
    assert_refused("publicAddress: https://school.example/hydra\n",
                   "publicAddress: ", "cannot be below a path (\"/hydra\")");
    assert_refused("publicAddress: https://school.example/?x\n", "publicAddress: ", "cannot be below a path");
    assert_refused("publicAddress: https://school.example#x\n", "publicAddress: ", "cannot be below a path");
    assert_refused(SCHOOL "environmentPublicAddress: https://hydra.school.example:{port}/lab\n",
                   "environmentPublicAddress: ", "cannot be below a path");
    assert_refused(SCHOOL "environmentPublicAddress: https://hydra.school.example/{port}\n",
                   "environmentPublicAddress: ", "");
}

static void what_does_not_fit_together(void **state)
{
    assert_refused("publicAddress: http://hydra.school.example\n", "publicAddress: ", "insecure");
    assert_refused("environmentPublicAddress: https://hydra.school.example:{port}\n",
                   "environmentPublicAddress: ", "publicAddress");
    assert_refused(SCHOOL "environmentPublicAddress: http://hydra.school.example:{port}\n",
                   "environmentPublicAddress: ", "scheme");
    assert_refused("publicAddress: https://hydra.school.example:31005\n",
                   "publicAddress: ", "environment's address as well");
    assert_refused(
        "publicAddress: https://31005.school.example\nenvironmentPublicAddress: https://{port}.school.example\n",
        "publicAddress: ", "environment's address as well");
    static const char *const other_sites[] = {"https://hydra.college.example:{port}", "https://{port}.example",
                                              "https://{port}.evilschool.example", "https://{port}.college.example"};
    for (size_t i = 0; i < ARRAY_SIZE(other_sites); i++) {
        _cleanup_free_ char *yaml = xasprintf(SCHOOL "environmentPublicAddress: '%s'\n", other_sites[i]);
        assert_refused(yaml, "environmentPublicAddress: ", "another site");
    }
    assert_refused("publicAddress: https://192.0.2.7\nenvironmentPublicAddress: https://192.0.2.8:{port}\n",
                   "environmentPublicAddress: ", "another site");
}

static void whose_word_is_taken(void **state)
{
    struct config *c = load("trustedProxies: [10.0.0.2, 10.1.0.0/16, '2001:db8::1', 'fd00::/64']\n", NULL);

    assert_non_null(c);
    assert_true(config_is_proxied(c));
    config_free(c);
    c = load("trustedProxies: []\n", NULL);
    assert_false(config_is_proxied(c));
    config_free(c);
    static const char *const wrong[] = {
        "proxy.school.example", "10.0.0.0/33",     "10.0.0.2;",   "0.0.0.0/0", "::/0",     "10.0.0.2/8",
        "fd00::1/64",           "::ffff:10.0.0.2", "10.0.0.2:80", "unix:",     " 10.0.0.2"};
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
        _cleanup_free_ char *yaml = xasprintf("trustedProxies: ['%s']\n", wrong[i]);
        assert_refused(yaml, "trustedProxies: ", wrong[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_browsers_write_them),         cmocka_unit_test(a_scheme_s_own_port_is_left_out),
        cmocka_unit_test(wrong_addresses_name_their_key), cmocka_unit_test(below_a_path_is_impossible),
        cmocka_unit_test(what_does_not_fit_together),     cmocka_unit_test(whose_word_is_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
