#include "config/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/io.h"

static char file[] = "/tmp/open-hydra-config-XXXXXX";

static int make_file(void **state)
{
    int fd = mkstemp(file);
    return fd < 0 ? -1 : close(fd);
}

static int drop_file(void **state)
{
    return unlink(file);
}

static struct config *load(const char *yaml, struct config_flags flags, struct error **err)
{
    assert_int_equal(write_file_atomic(file, str_from(yaml), 0600, NULL), 0);
    flags.file = file;
    return config_load(&flags, err);
}

static void defaults_are_the_documented_ones(void **state)
{
    struct config *c = load("", (struct config_flags){0}, NULL);

    assert_string_equal(c->dashboard.host, "127.0.0.1");
    assert_int_equal(c->dashboard.first, 30001);
    assert_int_equal(c->environments.first, 31000);
    assert_int_equal(c->environments.last, 31999);
    assert_int_equal(c->api.first, 30443);
    assert_false(config_browser_tls(c));
    _cleanup_free_ char *url = config_environment_url(c, 31001);
    assert_string_equal(url, "http://127.0.0.1:31001");
    assert_int_equal(c->host_id_base, 1879048192);
    config_free(c);
}

static void reads_the_originals_file(void **state)
{
    struct config *c = load("podAllocatableLimit: -1\n"
                            "defaultCpuPerDevice: 1000\n"
                            "defaultRamPerDevice: 4096\n"
                            "serverIP: 172.16.151.70, lab.school.edu\n"
                            "disableAuth: true\n"
                            "jupyterLabHostBaseDir: /mnt/jupyter-lab\n"
                            "mysqlConfig:\n  address: mysql.svc\n  port: 3306\n"
                            "somethingElse: 3\n",
                            (struct config_flags){0}, NULL);

    assert_non_null(c);
    assert_int_equal(c->default_cpu_milli, 1000);
    assert_int_equal(c->default_ram_mib, 4096);
    assert_true(c->disable_auth);
    assert_string_equal(c->jupyter_lab_base, "/mnt/jupyter-lab");
    assert_string_equal(c->hosts[0], "172.16.151.70");
    assert_string_equal(c->hosts[1], "lab.school.edu");
    assert_true(config_host_allowed(c, "LAB.school.edu:30001", 30001));
    assert_true(config_host_allowed(c, "127.0.0.1:30001", 30001));
    assert_false(config_host_allowed(c, "evil.example:30001", 30001));
    assert_false(config_host_allowed(c, "127.0.0.1:30002", 30001));
    assert_false(config_host_allowed(c, NULL, 30001));
    config_free(c);
}

static void mistakes_name_file_line_and_key(void **state)
{
    static const struct {
        const char *yaml, *says;
    } cases[] = {
        {"a: 1\ndefaultCpuPerDevice: many\n", ":2: defaultCpuPerDevice: expected a whole number from 10"},
        {"defaultRamPerDevice: 3\n", ":1: defaultRamPerDevice: expected a whole number from 64"},
        {"disableAuth: maybe\n", ":1: disableAuth: expected true or false"},
        {"workspacePath: here\n", ":1: workspacePath: expected an absolute path"},
        {"\n\napiListen: 443\n", ":3: apiListen: expected HOST:PORT"},
        {"apiListen: 127.0.0.1:0\n", "apiListen"},
        {"environmentListen: 127.0.0.1:31999-31000\n", "environmentListen"},
        {"serverIP: a/b\n", ":1: serverIP: expected a host name"},
        {"- 1\n", "expected keys and values"},
        {"insecure: true\ninsecure: false\n", "insecure is given twice"},
        {"hostIdBase: 100000\n", "hostIdBase"},
        {"hostIdRanges: 32768\nhostIdBase: 4294901760\n", "hostIdRanges"},
        {"apiListen: 127.0.0.1:31005\n", "overlap"},
        {"apiListen: 127.0.0.2:31005\n", "overlap"}, /* told apart by port, not by host */
        {"tlsCertificate: /a\n", "go together"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct error *err = NULL;
        assert_null(load(cases[i].yaml, (struct config_flags){0}, &err));
        if (strstr(err->message, cases[i].says) == NULL)
            fail_msg("%s does not say %s", err->message, cases[i].says);
        error_free(err);
    }
}

static void flags_win_over_the_file(void **state)
{
    struct config *c = load("dataDirectory: /srv/a\ndashboardListen: 127.0.0.1:8000\n",
                            (struct config_flags){.data = "/srv/b", .dashboard_listen = "[::1]:9000"}, NULL);

    assert_string_equal(c->data, "/srv/b");
    assert_string_equal(c->dashboard.host, "::1");
    assert_string_equal(c->workspace_path, "/srv/b/workspace");
    _cleanup_free_ char *url = config_dashboard_url(c);
    assert_string_equal(url, "http://[::1]:9000");
    assert_true(config_host_allowed(c, "[::1]:9000", 9000));
    config_free(c);
}

static void other_addresses_need_tls_or_a_word(void **state)
{
    struct error *err = NULL;
    struct config *c = load("serverIP: school\n", (struct config_flags){.dashboard_listen = "0.0.0.0:30001"}, NULL);

    assert_true(config_browser_tls(c));
    _cleanup_free_ char *url = config_dashboard_url(c);
    assert_string_equal(url, "https://school:30001");
    config_free(c);
    c = load("", (struct config_flags){.dashboard_listen = "0.0.0.0:30001", .insecure = true}, NULL);
    assert_false(config_browser_tls(c));
    config_free(c);
    assert_null(load("disableAuth: true\n", (struct config_flags){.dashboard_listen = "0.0.0.0:30001"}, &err));
    assert_non_null(strstr(err->message, "--insecure"));
    error_free(err);
}

static void a_missing_file_is_an_error(void **state)
{
    struct error *err = NULL;
    struct config_flags flags = {.file = "/nowhere/config.yaml"};

    assert_null(config_load(&flags, &err));
    assert_non_null(strstr(err->message, "/nowhere/config.yaml"));
    error_free(err);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_are_the_documented_ones),   cmocka_unit_test(reads_the_originals_file),
        cmocka_unit_test(mistakes_name_file_line_and_key),    cmocka_unit_test(flags_win_over_the_file),
        cmocka_unit_test(other_addresses_need_tls_or_a_word), cmocka_unit_test(a_missing_file_is_an_error),
    };
    return cmocka_run_group_tests(tests, make_file, drop_file);
}
