#include "config/config.h"
#include "config/region.h"

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/io.h"
#include "config/keys.h"
#include "config/state.h"

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
    struct config *c = load("", (struct config_flags){.data = "/srv/state"}, NULL);

    assert_string_equal(c->dashboard.host, "127.0.0.1");
    assert_int_equal(c->dashboard.first, 30001);
    assert_int_equal(c->dashboard.last, 30001);
    assert_string_equal(c->environments.host, "127.0.0.1");
    assert_int_equal(c->environments.first, 31000);
    assert_int_equal(c->environments.last, 31999);
    assert_string_equal(c->api.host, "127.0.0.1");
    assert_int_equal(c->api.first, 30443);
    assert_int_equal(c->api.last, 30443);
    assert_string_equal(c->hosts[0], "127.0.0.1");
    assert_string_equal(c->hosts[1], "localhost");
    assert_null(c->hosts[2]);
    assert_false(c->insecure);
    assert_false(c->disable_auth);
    assert_false(c->allow_root_images);
    assert_null(c->certificate);
    assert_null(c->certificate_key);
    assert_int_equal(c->default_cpu_milli, 2000);
    assert_int_equal(c->default_ram_mib, 8192);
    assert_int_equal(c->default_gpu, 0);
    assert_false(c->use_default_gpu);
    assert_int_equal(c->student_gpu_limit, 0);
    assert_string_equal(c->gpu_driver, "nvidia.com/gpu");
    assert_string_equal(c->gpu_resources[0], "nvidia.com/gpu");
    assert_string_equal(c->gpu_resources[1], "amd.com/gpu");
    assert_null(c->gpu_resources[2]);
    assert_int_equal(config_gpu_units(c, "nvidia.com/gpu", "NVIDIA H100"), 1);
    assert_string_equal(c->default_sandbox, "jupyter-lab");
    assert_int_equal(config_processes(c, c->default_ram_mib), 1024);
    assert_int_equal(c->minimum_free_mib, 512);
    assert_int_equal(c->home_quota, 0);
    assert_int_equal(c->max_home_quota, 0);
    assert_string_equal(c->workspace_path, "/srv/state/workspace");
    assert_null(c->jupyter_lab_base);
    assert_null(c->vscode_base);
    assert_string_equal(c->dataset_path, "/srv/state/public-dataset");
    assert_string_equal(c->course_path, "/srv/state/public-course");
    assert_int_equal(c->dataset_max_bytes, UINT64_C(10) << 30);
    assert_int_equal(c->course_max_bytes, UINT64_C(10) << 30);
    assert_string_equal(c->dataset_mount, "/home/student/dataset-public");
    assert_string_equal(c->course_mount, "/home/student/course-public");
    assert_null(c->engine_socket);
    assert_int_equal(c->host_id_base, 1879048192);
    assert_int_equal(c->host_id_size, 65536);
    assert_int_equal(c->host_id_count, 8192);
    assert_int_equal(c->server_id, 1879048193);
    assert_int_equal(c->gateway_id, 1879048194);
    assert_int_equal(c->session_seconds, 12 * 3600);
    assert_int_equal(c->session_max_seconds, 7 * 24 * 3600);
    assert_int_equal(c->certificate_check_seconds, 3600);
    assert_null(c->allowed_images);
    assert_int_equal(config_max_cpu_milli(c), sysconf(_SC_NPROCESSORS_ONLN) * 1000);
    assert_int_equal(config_max_ram_mib(c), (sysconf(_SC_PHYS_PAGES) / 256) * (sysconf(_SC_PAGESIZE) / 4096));
    assert_false(config_browser_tls(c));
    _cleanup_free_ char *url = config_environment_url(c, 31001);
    assert_string_equal(url, "http://127.0.0.1:31001");
    _cleanup_free_ char *api = config_api_url(c);
    assert_string_equal(api, "https://127.0.0.1:30443");
    config_free(c);
}

static bool accepted(const char *key, const char *value)
{
    _cleanup_free_ char *yaml = xasprintf("%s: %s\n", key, value);
    _cleanup_error_ struct error *err = NULL;
    struct config *c = load(yaml, (struct config_flags){.data = "/srv/state"}, &err);
    bool good = c != NULL;

    /* Another rule may refuse what its own bounds allow: the ids' base and count. */
    if (!good && strstr(err->message, "expected a whole number") == NULL && !starts_with(key, "hostId"))
        fail_msg("%s: %s: %s", key, value, err->message);
    if (!good && starts_with(key, "hostId"))
        good = strstr(err->message, "expected a whole number") == NULL;
    config_free(c);
    return good;
}

static bool accepts_number(const char *key, uint64_t value)
{
    _cleanup_free_ char *text = xasprintf("%llu", (unsigned long long)value);
    return accepted(key, text);
}

static void every_number_has_its_bounds(void **state)
{
    struct key_bounds rows[32];
    size_t n = config_numeric_keys(rows, ARRAY_SIZE(rows));

    assert_in_range(n, 8, ARRAY_SIZE(rows) - 1);
    for (size_t i = 0; i < n; i++) {
        const char *key = rows[i].path;
        assert_true(rows[i].min < rows[i].max);
        assert_true(accepts_number(key, rows[i].min));
        assert_true(accepts_number(key, rows[i].max));
        assert_false(rows[i].min && accepts_number(key, rows[i].min - 1));
        assert_false(accepts_number(key, rows[i].max + 1));
        /* What a narrower type would take for a value within the bounds. */
        if (rows[i].max <= UINT32_MAX)
            assert_false(accepts_number(key, (UINT64_C(1) << 32) + rows[i].min));
        assert_false(accepts_number(key, UINT64_MAX));
        assert_false(accepted(key, "18446744073709551617"));
        assert_false(accepted(key, "-1"));
        assert_false(accepted(key, "1000.5"));
        assert_false(accepted(key, "'1000'"));
        assert_false(accepted(key, "true"));
    }
}

static void the_bounds_are_these(void **state)
{
    static const struct key_bounds expected[] = {
        {"defaultCpuPerDevice", 10, 1024000},  {"defaultRamPerDevice", 64, 16777216},
        {"defaultGpuPerDevice", 0, 255},       {"pidsPerDevice", 256, 1048576},
        {"hostIdBase", 65536, 4294901760},     {"hostIdRanges", 1, 32768},
        {"sessionSeconds", 60, 31536000},      {"sessionMaxSeconds", 60, 31536000},
        {"certificateCheckSeconds", 1, 86400}, {"maxCpuPerDevice", 10, 1024000},
        {"maxRamPerDevice", 64, 16777216},     {"minimumFreeDisk", 1, 16777216},
        {"datasetMaxSize", 1, 17592186044416}, {"courseMaxSize", 1, 17592186044416},
        {"studentGpuLimit", 0, 255},           {"maxPidsPerDevice", 256, 4194304},
    };
    struct key_bounds rows[32];
    size_t n = config_numeric_keys(rows, ARRAY_SIZE(rows));

    for (size_t e = 0; e < ARRAY_SIZE(expected); e++) {
        size_t i = 0;
        while (i < n && !streq(rows[i].path, expected[e].path))
            i++;
        assert_true(i < n);
        assert_int_equal(rows[i].min, expected[e].min);
        assert_int_equal(rows[i].max, expected[e].max);
    }
}

enum {
    TEXT = 1,
    PATH = 2,
    SWITCH = 4,
    LISTEN = 8,
    HOSTS = 16,
    LIST = 32,
    NUMBER = 64,
    SIZE = 128,
    ANYTHING = 256,
    QUANTITY = 512
};

static const struct {
    const char *key;
    int type;
    const char *expected; /* what an error says */
} typed[] = {
    {"defaultCpuPerDevice", NUMBER, "a whole number"},
    {"serverIP", HOSTS, "a host name"},
    {"disableAuth", SWITCH, "true or false"},
    {"workspacePath", PATH, "an absolute path"},
    {"jupyterLabHostBaseDir", PATH, "an absolute path"},
    {"vscodeBasePath", PATH, "an absolute path"},
    {"datasetBasePath", PATH, "an absolute path"},
    {"courseBasePath", PATH, "an absolute path"},
    {"datasetStudentMountPath", PATH, "an absolute path"},
    {"courseStudentMountPath", PATH, "an absolute path"},
    {"dataDirectory", PATH, "an absolute path"},
    {"runtimeDirectory", PATH, "an absolute path"},
    {"webDirectory", PATH, "an absolute path"},
    {"dashboardListen", LISTEN, "HOST:PORT"},
    {"environmentListen", LISTEN, "HOST:PORT"},
    {"apiListen", LISTEN, "HOST:PORT"},
    {"insecure", SWITCH, "true or false"},
    {"allowRootImages", SWITCH, "true or false"},
    {"tlsCertificate", PATH, "an absolute path"},
    {"tlsCertificateKey", PATH, "an absolute path"},
    {"defaultSandbox", TEXT, "a text"},
    {"engineSocket", PATH, "an absolute path"},
    {"gpuLibrary", PATH, "an absolute path"},
    {"allowedImages", LIST, "a list of texts"},
    {"contentSources", LIST, "a list of texts"},
    {"contentAuthority", PATH, "an absolute path"},
    {"defaultGpuDriver", TEXT, "a text"},
    {"gpuResourceKeys", LIST, "a list of texts"},
    {"useDefaultGpuConfigWhenZeroIsGiven", SWITCH, "true or false"},
    {"gpuTimeSlicing", PATH, "an absolute path"},
    {"homeSkeleton", PATH, "an absolute path"},
    {"timeZone", TEXT, "a text"},
    {"language", TEXT, "a text"},
    {"pipIndex", TEXT, "a text"},
    {"pipFindLinks", PATH, "an absolute path"},
    {"shmPerDevice", SIZE, "a quantity"},
    {"tmpPerDevice", SIZE, "a quantity"},
    {"homeQuota", QUANTITY, "an amount of bytes"},
    {"maxHomeQuota", QUANTITY, "an amount of bytes"},
    {"podAllocatableLimit", ANYTHING, NULL},
    {"mysqlConfig", ANYTHING, NULL},
    {"authDelegateConfig", ANYTHING, NULL},
};

/* Which types take it. What stands for nothing (null) leaves the default. */
static const struct {
    const char *value;
    int fits;
} values[] = {
    {"some-text", TEXT | HOSTS},
    {"''", 0},
    {"/srv/some/path", TEXT | PATH},
    {"127.0.0.9:4000", TEXT | HOSTS | LISTEN},
    {"true", SWITCH},
    {"'true'", TEXT | HOSTS},
    {"1000", NUMBER},
    {"'1000'", TEXT | HOSTS},
    {"1.5", 0},
    {"[]", LIST},
    {"[a, b]", LIST},
    {"{}", 0},
    {"{a: b}", 0},
    {"1Gi", TEXT | HOSTS | SIZE | QUANTITY},
    {"50%", TEXT | SIZE},
    {"1048576", QUANTITY}, /* the least, and more than the other number's most */
    {"1048575", 0},
    {"10Gi", QUANTITY | SIZE | TEXT | HOSTS},
    {"9Pi", TEXT | HOSTS},
    {"-1Gi", TEXT | HOSTS},
    {"null", TEXT | PATH | SWITCH | LISTEN | HOSTS | LIST | NUMBER | SIZE | QUANTITY},
};

static void assert_type(size_t k, size_t v)
{
    _cleanup_free_ char *yaml = xasprintf("\n%s: %s\n", typed[k].key, values[v].value);
    _cleanup_free_ char *says = xasprintf(":2: %s: expected %s", typed[k].key, typed[k].expected);
    _cleanup_free_ char *in_wrong_form = xasprintf(":2: %s: \"", typed[k].key);
    _cleanup_error_ struct error *err = NULL;
    struct config *c = load(yaml, (struct config_flags){0}, &err);
    bool refused = err && (strstr(err->message, says) || strstr(err->message, in_wrong_form));

    /* Where its type is right, another rule may refuse the value: folders, one certificate without its key. */
    if (refused == (typed[k].type == ANYTHING || (values[v].fits & typed[k].type)))
        fail_msg("%s%s", yaml, err ? err->message : "was taken");
    config_free(c);
}

static void every_key_takes_its_type_alone(void **state)
{
    for (size_t k = 0; k < ARRAY_SIZE(typed); k++)
        for (size_t v = 0; v < ARRAY_SIZE(values); v++)
            assert_type(k, v);
}

static void processes_follow_the_memory(void **state)
{
    static const struct {
        unsigned said, most;
        uint64_t ram_mib;
        unsigned expected;
    } rows[] = {
        {0, 0, 64, 256},      {0, 0, 2048, 256},     {0, 0, 2056, 257},        {0, 0, 8192, 1024},
        {0, 0, 32768, 4096},  {0, 0, 1 << 20, 4096}, {0, 100000, 65536, 8192}, {0, 300, 8192, 300},
        {500, 0, 65536, 500}, {9000, 0, 64, 9000},   {9000, 9000, 64, 9000},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        const struct config c = {.pids_limit = rows[i].said, .max_pids = rows[i].most};
        assert_int_equal(config_processes(&c, rows[i].ram_mib), rows[i].expected);
    }
    _cleanup_error_ struct error *err = NULL;
    assert_null(load("pidsPerDevice: 900\nmaxPidsPerDevice: 800\n", (struct config_flags){0}, &err));
    assert_non_null(strstr(err->message, "pidsPerDevice"));
}

static void languages_have_names(void **state)
{
    static const struct {
        const char *text, *tag, *locale;
    } rows[] = {
        {"zh_CN.UTF-8", "zh-CN", "zh_CN.UTF-8"},
        {"zh-CN", "zh-CN", "zh_CN.UTF-8"},
        {"zh", "zh-CN", "zh_CN.UTF-8"},
        {"zh_TW.Big5", "zh-TW", "zh_CN.UTF-8"},
        {"en", "en", "C.UTF-8"},
        {"en_US.UTF-8", "en-US", "C.UTF-8"},
        {"de_DE@euro", "de-DE", "de_DE.UTF-8"},
        {"fr", "fr", "C.UTF-8"},
        {"zha", "zha", "C.UTF-8"},
        {"C", NULL, NULL},
        {"C.UTF-8", NULL, NULL},
        {"POSIX", NULL, NULL},
        {"", NULL, NULL},
        {"zh CN", NULL, NULL},
        {"zh-", NULL, NULL},
        {"12", NULL, NULL},
        {"../x", NULL, NULL},
        {"zh-CN=x", NULL, NULL},
        {"zh-a-very-long-language", NULL, NULL},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        _cleanup_free_ char *tag = language_tag(rows[i].text);
        _cleanup_free_ char *locale = tag ? language_locale(tag) : NULL;
        if (rows[i].tag ? !streq(tag, rows[i].tag) || !streq(locale, rows[i].locale) : tag != NULL)
            fail_msg("%s: %s, %s", rows[i].text, tag ? tag : "(none)", locale ? locale : "(none)");
    }
}

static void says_zone(const char *root, const char *expected)
{
    _cleanup_free_ char *zone = machine_time_zone(root);

    if (!same_text(zone, expected) && !streq(zone, expected))
        fail_msg("%s rather than %s", zone ? zone : "(none)", expected ? expected : "(none)");
}

static void says_language(const char *root, const char *name, const char *text, const char *expected)
{
    _cleanup_free_ char *path = xasprintf("%s/etc/%s", root, name);

    assert_int_equal(write_file_atomic(path, str_from(text), 0644, NULL), 0);
    _cleanup_free_ char *language = machine_language(root);
    if (!same_text(language, expected) && !streq(language, expected))
        fail_msg("%s: %s", text, language ? language : "(none)");
}

/* By its /etc; of what is said by variables, those go before. */
static void this_machine_says_where_it_is(void **state)
{
    char root[] = "/tmp/config-region-XXXXXX";
    assert_non_null(mkdtemp(root));
    _cleanup_free_ char *etc = xasprintf("%s/etc/default", root), *link = xasprintf("%s/etc/localtime", root);
    _cleanup_free_ char *zone = xasprintf("%s/etc/timezone", root), *remove_all = xasprintf("rm -rf %s", root);
    _cleanup_free_ char *lang = xstrdup_or_null(getenv("LANG")), *all = xstrdup_or_null(getenv("LC_ALL"));

    assert_int_equal(make_directory(etc, 0755, NULL), 0);
    says_zone(root, NULL);
    assert_int_equal(write_file_atomic(zone, STR("Europe/Berlin\n"), 0644, NULL), 0);
    says_zone(root, "Europe/Berlin");
    assert_int_equal(symlink("../usr/share/zoneinfo/Asia/Shanghai", link), 0);
    says_zone(root, "Asia/Shanghai");
    assert_int_equal(unlink(link), 0);
    assert_int_equal(symlink("/elsewhere/file", link), 0);
    says_zone(root, NULL);

    unsetenv("LANG");
    unsetenv("LC_ALL");
    says_language(root, "default/locale", "# x\nLANG=\"zh_CN.UTF-8\"\n", "zh-CN");
    says_language(root, "default/locale", "LC_TIME=x\n LANG=en_US.UTF-8 \n", "en-US");
    says_language(root, "default/locale", "LANG=C.UTF-8\n", NULL);
    says_language(root, "locale.conf", "LANG='de_DE.UTF-8'\n", "de-DE");
    setenv("LANG", "zh_CN.UTF-8", 1);
    says_language(root, "locale.conf", "LANG=\n", "zh-CN");
    setenv("LC_ALL", "C", 1);
    says_language(root, "locale.conf", "LANG=\"\n", NULL);
    unsetenv("LC_ALL");
    unsetenv("LANG");
    if (lang)
        setenv("LANG", lang, 1);
    if (all)
        setenv("LC_ALL", all, 1);
    assert_int_equal(system(remove_all), 0);
}

static void what_environments_are_told_is_checked(void **state)
{
    static const struct {
        const char *line, *says;
    } rows[] = {
        {"timeZone: ../etc/passwd", "timeZone: \"../etc/passwd\" is no name"},
        {"timeZone: /etc/passwd", "timeZone: "},
        {"timeZone: 'Asia/Shang hai'", "timeZone: "},
        {"timeZone: Asia/", "timeZone: "},
        {"language: C", "language: \"C\" names no language"},
        {"language: 'zh CN'", "language: "},
        {"pipIndex: pypi.example", "pipIndex: \"pypi.example\" is no address"},
        {"pipIndex: 'ftp://a/simple'", "pipIndex: "},
        {"pipIndex: 'http://'", "pipIndex: "},
        {"pipIndex: 'http:///simple'", "pipIndex: "},
        {"pipIndex: 'http://a b'", "pipIndex: "},
        {"pipFindLinks: /nowhere/wheels", "pipFindLinks: there is no folder /nowhere/wheels"},
        {"pipFindLinks: /etc/passwd", "pipFindLinks: "},
        {"pipFindLinks: /etc", "pipFindLinks: "},
        {"homeSkeleton: /nowhere/skel", "homeSkeleton: there is no folder /nowhere/skel"},
        {"homeSkeleton: /etc", "homeSkeleton: "},
        {"homeSkeleton: /", "homeSkeleton: "},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        _cleanup_error_ struct error *err = NULL;
        assert_null(load(rows[i].line, (struct config_flags){0}, &err));
        if (strstr(err->message, rows[i].says) == NULL)
            fail_msg("%s: %s", rows[i].line, err->message);
    }
}

static void no_key_is_given_twice(void **state)
{
    for (size_t k = 0; k < ARRAY_SIZE(typed); k++) {
        _cleanup_free_ char *yaml = xasprintf("%s: null\n%s: null\n", typed[k].key, typed[k].key);
        _cleanup_free_ char *says = xasprintf("%s is given twice", typed[k].key);
        _cleanup_error_ struct error *err = NULL;
        assert_null(load(yaml, (struct config_flags){0}, &err));
        if (strstr(err->message, says) == NULL)
            fail_msg("%s", err->message);
    }
}

/* Each key reaches the field that is its own. */
static void every_key_sets_its_own_field(void **state)
{
    struct config *c = load(
        "defaultCpuPerDevice: 1001\ndefaultRamPerDevice: 1002\ndefaultGpuPerDevice: 3\n"
        "studentGpuLimit: 2\ndefaultGpuDriver: a/b\ngpuResourceKeys: [c/d]\n"
        "useDefaultGpuConfigWhenZeroIsGiven: true\n"
        "workspacePath: /srv/homes\njupyterLabHostBaseDir: /srv/jupyter\nvscodeBasePath: /srv/code\n"
        "datasetBasePath: /srv/sets\ncourseBasePath: /srv/courses\n"
        "datasetStudentMountPath: /mnt/a\ncourseStudentMountPath: /mnt/b\n"
        "dataDirectory: /srv/state\nruntimeDirectory: /srv/run\nwebDirectory: /srv/web\n"
        "dashboardListen: 127.0.0.1:1001\nenvironmentListen: 127.0.0.2:2001-2002\n"
        "apiListen: 127.0.0.3:3001\ninsecure: true\ndisableAuth: true\nallowRootImages: true\n"
        "tlsCertificate: /srv/c\ntlsCertificateKey: /srv/k\ndefaultSandbox: other\n"
        "pidsPerDevice: 1004\nmaxPidsPerDevice: 2004\nshmPerDevice: 1Gi\ntmpPerDevice: 25%\nhomeSkeleton: /etc/skel\ntimeZone: UTC\nlanguage: de_DE.UTF-8\npipIndex: http://p/simple\npipFindLinks: /usr/share\nengineSocket: /srv/engine/sock\ngpuLibrary: /srv/nvml\nhostIdBase: 131072\nhostIdRanges: 7\n"
        "minimumFreeDisk: 1010\ncertificateCheckSeconds: 1005\nsessionSeconds: 1006\nsessionMaxSeconds: 1009\n"
        "maxCpuPerDevice: 1007\nmaxRamPerDevice: 1008\nallowedImages: [one/*, 'two']\n"
        "contentSources: [/srv/a, 'https://b/']\ncontentAuthority: /srv/ca\n"
        "homeQuota: 1.5Gi\nmaxHomeQuota: 3221225472\n",
        (struct config_flags){0}, NULL);

    assert_non_null(c);
    assert_int_equal(c->default_cpu_milli, 1001);
    assert_int_equal(c->default_ram_mib, 1002);
    assert_int_equal(c->default_gpu, 3);
    assert_int_equal(c->student_gpu_limit, 2);
    assert_string_equal(c->gpu_driver, "a/b");
    assert_string_equal(c->gpu_resources[0], "c/d");
    assert_null(c->gpu_resources[1]);
    assert_true(c->use_default_gpu);
    assert_string_equal(c->workspace_path, "/srv/homes");
    assert_string_equal(c->jupyter_lab_base, "/srv/jupyter");
    assert_string_equal(c->vscode_base, "/srv/code");
    assert_string_equal(c->dataset_path, "/srv/sets");
    assert_string_equal(c->course_path, "/srv/courses");
    assert_string_equal(c->dataset_mount, "/mnt/a");
    assert_string_equal(c->course_mount, "/mnt/b");
    assert_string_equal(c->data, "/srv/state");
    assert_string_equal(c->runtime, "/srv/run");
    assert_string_equal(c->web, "/srv/web");
    assert_int_equal(c->dashboard.first, 1001);
    assert_string_equal(c->environments.host, "127.0.0.2");
    assert_int_equal(c->environments.first, 2001);
    assert_int_equal(c->environments.last, 2002);
    assert_int_equal(c->api.first, 3001);
    assert_true(c->insecure && c->disable_auth && c->allow_root_images);
    assert_string_equal(c->certificate, "/srv/c");
    assert_string_equal(c->certificate_key, "/srv/k");
    assert_string_equal(c->default_sandbox, "other");
    assert_int_equal(c->pids_limit, 1004);
    assert_int_equal(c->max_pids, 2004);
    assert_int_equal(c->shm.bytes, 1 << 30);
    assert_int_equal(c->tmp.percent, 25);
    assert_string_equal(c->home_skeleton, "/etc/skel");
    assert_string_equal(c->time_zone, "UTC");
    assert_string_equal(c->language, "de-DE");
    assert_string_equal(c->pip_index, "http://p/simple");
    assert_string_equal(c->pip_find_links, "/usr/share");
    assert_string_equal(c->engine_socket, "/srv/engine/sock");
    assert_string_equal(c->gpu_library, "/srv/nvml");
    assert_int_equal(c->host_id_base, 131072);
    assert_int_equal(c->host_id_count, 7);
    assert_int_equal(c->server_id, 131073);
    assert_int_equal(c->gateway_id, 131074);
    assert_int_equal(c->certificate_check_seconds, 1005);
    assert_int_equal(c->session_seconds, 1006);
    assert_int_equal(c->minimum_free_mib, 1010);
    assert_int_equal(c->max_cpu_milli, 1007);
    assert_int_equal(c->max_ram_mib, 1008);
    assert_int_equal(c->home_quota, UINT64_C(1536) << 20);
    assert_int_equal(c->max_home_quota, UINT64_C(3) << 30);
    assert_int_equal(config_max_cpu_milli(c), 1007);
    assert_int_equal(config_max_ram_mib(c), 1008);
    assert_string_equal(c->allowed_images[0], "one/*");
    assert_string_equal(c->allowed_images[1], "two");
    assert_null(c->allowed_images[2]);
    assert_string_equal(c->content_sources[0], "/srv/a");
    assert_string_equal(c->content_sources[1], "https://b/");
    assert_string_equal(c->content_authority, "/srv/ca");
    assert_int_equal(c->session_max_seconds, 1009);
    config_free(c);
}

static bool allows(const char *yaml, const char *image)
{
    struct config *c = load(yaml, (struct config_flags){.data = "/srv/state"}, NULL);
    assert_non_null(c);
    bool allowed = config_image_allowed(c, image);
    config_free(c);
    return allowed;
}

static void images_are_allowed_by_patterns(void **state)
{
    static const char two[] = "allowedImages:\n- localhost/open-hydra/*\n- registry:5000/a/b:1.?\n";

    assert_true(allows("", "anything"));
    assert_false(allows("allowedImages: []\n", "anything"));
    assert_true(allows(two, "localhost/open-hydra/jupyter-lab:latest"));
    assert_true(allows(two, "localhost/open-hydra/physics/jupyter-lab:latest")); /* a star stands for slashes too */
    assert_true(allows(two, "registry:5000/a/b:1.2"));
    assert_false(allows(two, "registry:5000/a/b:1.22"));
    assert_false(allows(two, "localhost/open-hydra"));
    assert_false(allows(two, "xlocalhost/open-hydra/jupyter-lab"));
    assert_false(allows(two, ""));
    static const char *const wrong[] = {"text", "{a: b}", "[1]", "['']", "[a, [b]]"};
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
        _cleanup_free_ char *yaml = xasprintf("allowedImages: %s\n", wrong[i]);
        _cleanup_error_ struct error *err = NULL;
        assert_null(load(yaml, (struct config_flags){.data = "/srv/state"}, &err));
        assert_non_null(strstr(err->message, "allowedImages: expected a list of texts"));
    }
}

static void networks_are_networks(void **state)
{
    static const char *const wrong[] = {"[10.0.0.0/33]", "[pods.example]", "['10.0.0.0/8', '']", "10.0.0.0/8"};
    struct config *c =
        load("environmentNetworks: [10.42.0.0/16, 'fd00::/8']\n", (struct config_flags){.data = "/srv/state"}, NULL);

    assert_non_null(c);
    assert_string_equal(c->environment_networks[0], "10.42.0.0/16");
    assert_string_equal(c->environment_networks[1], "fd00::/8");
    assert_null(c->environment_networks[2]);
    config_free(c);
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
        _cleanup_free_ char *yaml = xasprintf("environmentNetworks: %s\n", wrong[i]);
        _cleanup_error_ struct error *err = NULL;
        assert_null(load(yaml, (struct config_flags){.data = "/srv/state"}, &err));
        assert_non_null(strstr(err->message, "environmentNetworks"));
    }
}

static void sources_are_folders_or_hosts(void **state)
{
    static const char *const wrong[] = {"['https://']", "['https:///x']", "['https://:443/']", "[srv]", "['http://b/']", "['']"};

    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
        _cleanup_free_ char *yaml = xasprintf("contentSources: %s\n", wrong[i]);
        _cleanup_error_ struct error *err = NULL;
        assert_null(load(yaml, (struct config_flags){.data = "/srv/state"}, &err));
        assert_non_null(strstr(err->message, "contentSources"));
    }
}

static void tls_unless_everything_is_local(void **state)
{
    static const struct {
        const char *dashboard, *environments;
        bool insecure, tls;
    } cases[] = {
        {"127.0.0.1:1", "127.0.0.1:2-3", false, false}, {"127.0.0.1:1", "0.0.0.0:2-3", false, true},
        {"0.0.0.0:1", "127.0.0.1:2-3", false, true},    {"0.0.0.0:1", "0.0.0.0:2-3", false, true},
        {"[::1]:1", "[::1]:2-3", false, false},         {"[::]:1", "[::1]:2-3", false, true},
        {"0.0.0.0:1", "0.0.0.0:2-3", true, false},      {"127.0.0.1:1", "0.0.0.0:2-3", true, false},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        const struct config_flags flags = {.data = "/srv/state",
                                           .dashboard_listen = cases[i].dashboard,
                                           .environment_listen = cases[i].environments,
                                           .insecure = cases[i].insecure};
        struct config *c = load("", flags, NULL);
        assert_non_null(c);
        assert_int_equal(config_browser_tls(c), cases[i].tls);
        config_free(c);
    }
    struct config *c = load("tlsCertificate: /srv/c\ntlsCertificateKey: /srv/k\n", (struct config_flags){0}, NULL);
    assert_true(config_browser_tls(c));
    config_free(c);
    /* A certificate of one's own is used, insecure or not. */
    c = load("tlsCertificate: /srv/c\ntlsCertificateKey: /srv/k\ninsecure: true\n", (struct config_flags){0}, NULL);
    assert_true(config_browser_tls(c));
    config_free(c);
}

static char *said_of(const char *yaml)
{
    struct error *err = NULL;
    struct config *c = load(yaml, (struct config_flags){0}, &err);
    char *message = err ? xstrdup(err->message) : NULL;

    config_free(c);
    error_free(err);
    return message;
}

#define BASE "dataDirectory: /srv/state\nruntimeDirectory: /srv/run\n"

static void folders_that_environments_must_not_get(void **state)
{
    static const char *const keys[] = {"workspacePath", "jupyterLabHostBaseDir", "vscodeBasePath", "datasetBasePath",
                                       "courseBasePath"};
    static const char *const bad[] = {
        "/",
        "//",
        "/etc",
        "/etc/",
        "/etc/x",
        "/etc/../etc/x",
        "/root",
        "/root/sets",
        "/proc",
        "/proc/1/root",
        "/sys/fs",
        "/dev",
        "/dev/shm",
        "/boot",
        "/home",
        "/tmp",
        "/var/tmp",
        "/var",
        "/var/lib",
        "/usr",
        "/usr/bin",
        "/usr/sbin",
        "/usr/lib",
        "/usr/lib/systemd",
        "/run/systemd",
        "/run/docker.sock",
        "/var/lib/containerd",
        "/run",
        "/var/lib/containers",
        "/var/lib/containers/storage/x",
        "/var/lib/docker",
        "/run/containers",
        "/run/podman",
        "/run/user/1000",
        "/srv",
        "/srv/state",
        "/srv/state/server",
        "/srv/state/workspacex",
        "/srv/run",
        "/srv/run/env",
        "/srv/none/../state",
        "/srv/engine",
        "/srv/homes/..",
    };

    for (size_t k = 0; k < ARRAY_SIZE(keys); k++)
        for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
            _cleanup_free_ char *yaml = xasprintf(BASE "engineSocket: /srv/engine/sock\n%s: %s\n", keys[k], bad[i]);
            _cleanup_free_ char *says = said_of(yaml);
            if (says == NULL || !starts_with(says, keys[k]))
                fail_msg("%s: %s is not refused: %s", keys[k], bad[i], says ? says : "accepted");
        }
}

static void the_storage_of_an_ordinary_users_engine(void **state)
{
    static const struct {
        const char *xdg, *home, *path;
        bool good;
    } cases[] = {
        {"/srv/xdg", "/srv/me", "/srv/xdg", false},
        {"/srv/xdg", "/srv/me", "/srv/xdg/containers", false},
        {"/srv/xdg", "/srv/me", "/srv/xdg/containers/storage", false},
        {"/srv/xdg", "/srv/me", "/srv/xdg/sets", true},
        {"/srv/xdg", "/srv/me", "/srv/me", true},
        {"", "/srv/me", "/srv/me", false},
        {"", "/srv/me", "/srv/me/.local/share/containers/storage", false},
        {"", "/srv/me", "/srv/me/sets", true},
    };
    _cleanup_free_ char *home = xstrdup(getenv("HOME") ? getenv("HOME") : "/root");

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_free_ char *yaml = xasprintf(BASE "datasetBasePath: %s\n", cases[i].path);
        setenv("XDG_DATA_HOME", cases[i].xdg, 1);
        setenv("HOME", cases[i].home, 1);
        _cleanup_free_ char *says = said_of(yaml);
        if ((says == NULL) != cases[i].good)
            fail_msg("%s with %s, %s: %s", cases[i].path, cases[i].xdg, cases[i].home, says ? says : "accepted");
    }
    unsetenv("XDG_DATA_HOME");
    setenv("HOME", home, 1);
}

static void folders_that_are_good(void **state)
{
    static const char *const good[] = {
        "",
        "workspacePath: /srv/state/workspace\n",
        "workspacePath: /srv/state/workspace/disk\n",
        "workspacePath: /home/homes\n",
        "datasetBasePath: /home/teacher/sets\ncourseBasePath: /home/teacher/courses\n",
        "datasetBasePath: /srv/sets\ncourseBasePath: /srv/sets/courses\n",
        "datasetBasePath: /srv/state/public-dataset\n",
        "courseBasePath: /srv/state/public-course\n",
        "datasetBasePath: /usr/share/sets\n",
        "datasetBasePath: /run/media/disk\n",
        "datasetBasePath: /srv/statement\n",
        "datasetBasePath: /etcetera\n",
        "jupyterLabHostBaseDir: /mnt/homes\nvscodeBasePath: /mnt/homes\n",
        "datasetBasePath: /mnt\n",
    };
    for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
        _cleanup_free_ char *yaml = xasprintf(BASE "%s", good[i]);
        _cleanup_free_ char *says = said_of(yaml);
        if (says)
            fail_msg("%s", says);
    }
}

static void folders_that_stand_in_each_others_way(void **state)
{
    static const struct {
        const char *yaml, *says;
    } cases[] = {
        {"workspacePath: /srv/h\njupyterLabHostBaseDir: /srv/h\n",
         "jupyterLabHostBaseDir: /srv/h is /srv/h, workspacePath"},
        {"workspacePath: /srv/h\njupyterLabHostBaseDir: /srv/h/lab\n",
         "jupyterLabHostBaseDir: /srv/h/lab lies in /srv/h, workspacePath"},
        {"jupyterLabHostBaseDir: /srv/h\nvscodeBasePath: /srv/h/code\n",
         "vscodeBasePath: /srv/h/code lies in /srv/h, jupyterLabHostBaseDir"},
        {"workspacePath: /srv/h\ndatasetBasePath: /srv/h/a/b\n",
         "datasetBasePath: /srv/h/a/b lies in /srv/h, workspacePath"},
        {"jupyterLabHostBaseDir: /srv/h\ncourseBasePath: /srv/h\n",
         "courseBasePath: /srv/h is /srv/h, jupyterLabHostBaseDir"},
        {"vscodeBasePath: /srv/s/h\ndatasetBasePath: /srv/s\n",
         "datasetBasePath: /srv/s contains /srv/s/h, vscodeBasePath"},
        {"datasetBasePath: /srv/state/workspace\n", "/srv/state"},
        {"datasetBasePath: /srv/state/public-course\n", "/srv/state"},
        {"courseBasePath: /srv/state/server\n", "/srv/state"},
        {"jupyterLabHostBaseDir: /srv/state/workspace/lab\n", "jupyterLabHostBaseDir: "},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_free_ char *yaml = xasprintf(BASE "%s", cases[i].yaml);
        _cleanup_free_ char *says = said_of(yaml);
        if (says == NULL || strstr(says, cases[i].says) == NULL)
            fail_msg("%s: says %s", cases[i].yaml, says ? says : "nothing");
    }
}

static void our_own_folders_are_our_own(void **state)
{
    static const char *const keys[] = {"dataDirectory", "runtimeDirectory"};
    static const char *const bad[] = {"/",    "/etc",     "/home", "/tmp", "/var/tmp",
                                      "/var", "/var/lib", "/run",  "/usr", "/dev"};

    for (size_t k = 0; k < ARRAY_SIZE(keys); k++)
        for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
            _cleanup_free_ char *yaml = xasprintf("workspacePath: /srv/homes\n%s: %s\n", keys[k], bad[i]);
            _cleanup_free_ char *says = said_of(yaml);
            if (says == NULL || !starts_with(says, keys[k]))
                fail_msg("%s: %s is not refused: %s", keys[k], bad[i], says ? says : "accepted");
        }
    /* An ordinary user's own, and one of an administrator's. */
    static const char *const good[] = {"/run/user/1000/open-hydra", "/root/open-hydra", "/var/lib/open-hydra"};
    for (size_t k = 0; k < ARRAY_SIZE(keys); k++)
        for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
            _cleanup_free_ char *yaml = xasprintf(
                "workspacePath: /srv/homes\ndatasetBasePath: /srv/sets\ncourseBasePath: /srv/courses\n%s: %s\n",
                keys[k], good[i]);
            _cleanup_free_ char *says = said_of(yaml);
            if (says)
                fail_msg("%s: %s is refused: %s", keys[k], good[i], says);
        }
}

static void links_are_followed_before_they_are_judged(void **state)
{
    char base[] = "/tmp/open-hydra-links-XXXXXX";
    assert_non_null(mkdtemp(base));
    assert_int_equal(chmod(base, 0755), 0);
    _cleanup_free_ char *link = xasprintf("%s/link", base), *data = xasprintf("%s/data", base);
    _cleanup_free_ char *yaml = xasprintf("dataDirectory: %s\ndatasetBasePath: %s/sets\n", data, link);

    assert_int_equal(mkdir(data, 0700), 0);
    assert_int_equal(symlink(data, link), 0);
    _cleanup_free_ char *says = said_of(yaml);
    assert_non_null(says);
    assert_non_null(strstr(says, "datasetBasePath"));
    assert_int_equal(unlink(link), 0);
    assert_int_equal(symlink("/etc", link), 0);
    _cleanup_free_ char *again = said_of(yaml);
    assert_non_null(strstr(again, "/etc"));
    unlink(link);
    rmdir(data);
    rmdir(base);
}

static void a_state_folder_that_service_users_cannot_reach(void **state)
{
    char base[] = "/tmp/open-hydra-closed-XXXXXX";

    if (geteuid() != 0)
        skip();
    assert_non_null(mkdtemp(base)); /* 0700 */
    _cleanup_free_ char *data = xasprintf("%s/data", base), *deeper = xasprintf("%s/a/b/data", base);
    const char *const paths[] = {data, deeper};
    for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
        struct config *c = load("", (struct config_flags){.data = paths[i]}, NULL);
        assert_string_equal(c->data, "/var/lib/open-hydra");
        assert_string_equal(c->workspace_path, "/var/lib/open-hydra/workspace");
        config_free(c);
    }
    /* Going through is enough. */
    assert_int_equal(chmod(base, 0711), 0);
    struct config *c = load("", (struct config_flags){.data = data}, NULL);
    assert_string_equal(c->data, data);
    config_free(c);
    /* The folder itself may be closed: it is ours to open. */
    assert_int_equal(mkdir(data, 0700), 0);
    c = load("", (struct config_flags){.data = data}, NULL);
    assert_string_equal(c->data, data);
    config_free(c);
    rmdir(data);
    rmdir(base);
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
        {"allowedImages: [a]\nallowedImages: [b]\n", "allowedImages is given twice"},
        {"hostIdRanges: 1\nhostIdRanges: null\n", "hostIdRanges is given twice"},
        {"hostIdBase: 100000\n", "hostIdBase"},
        {"hostIdRanges: 32768\nhostIdBase: 4294901760\n", "hostIdRanges"},
        {"apiListen: 127.0.0.1:31005\n", "overlap"},
        {"apiListen: 127.0.0.2:31005\n", "overlap"}, /* told apart by port, not by host */
        {"tlsCertificate: /a\n", "go together"},
        {"tlsCertificateKey: /a\n", "go together"},
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

static void addresses_to_listen_on(void **state)
{
    static const struct {
        const char *text, *host;
        unsigned first, last; /* 0: refused */
    } cases[] = {
        {"127.0.0.1:1", "127.0.0.1", 1, 1},
        {"127.0.0.1:65535", "127.0.0.1", 65535, 65535},
        {"127.0.0.1:5-5", "127.0.0.1", 5, 5},
        {"0.0.0.0:5-65535", "0.0.0.0", 5, 65535},
        {"[::1]:443", "::1", 443, 443},
        {"[::]:443", "::", 443, 443},
        {"::1:443", "::1", 443, 443},
        {"localhost:80", "127.0.0.1", 80, 80},
        {":80", "0.0.0.0", 80, 80},
        {"127.0.0.1:0", NULL, 0, 0},
        {"127.0.0.1:65536", NULL, 0, 0},
        {"127.0.0.1:5-4", NULL, 0, 0},
        {"127.0.0.1:5-65536", NULL, 0, 0},
        {"127.0.0.1:5-", NULL, 0, 0},
        {"127.0.0.1:-5", NULL, 0, 0},
        {"127.0.0.1:", NULL, 0, 0},
        {"127.0.0.1", NULL, 0, 0},
        {"127.0.0.1:+5", NULL, 0, 0},
        {"127.0.0.1: 5", NULL, 0, 0},
        {"example.com:80", NULL, 0, 0},
        {"127.0.0.256:80", NULL, 0, 0},
        {"[::1:80", NULL, 0, 0},
        {"127.0.0.1:5-6-7", NULL, 0, 0},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct listen_address a;
        int rc = listen_parse(cases[i].text, &a, NULL);
        if ((rc == 0) != (cases[i].first != 0))
            fail_msg("%s", cases[i].text);
        if (rc < 0)
            continue;
        assert_string_equal(a.host, cases[i].host);
        assert_int_equal(a.first, cases[i].first);
        assert_int_equal(a.last, cases[i].last);
        assert_int_equal(listen_is_loopback(&a), starts_with(a.host, "127.") || streq(a.host, "::1"));
        assert_int_equal(listen_is_wildcard(&a), streq(a.host, "0.0.0.0") || streq(a.host, "::"));
        free(a.host);
    }
}

static void ports_may_touch_but_not_overlap(void **state)
{
    static const struct {
        const char *dashboard, *environments, *api;
        bool good;
    } cases[] = {
        {"127.0.0.1:10", "127.0.0.1:20-30", "127.0.0.1:40", true},
        {"127.0.0.1:19", "127.0.0.1:20-30", "127.0.0.1:31", true},
        {"127.0.0.1:20", "127.0.0.1:20-30", "127.0.0.1:40", false},
        {"127.0.0.1:30", "127.0.0.1:20-30", "127.0.0.1:40", false},
        {"127.0.0.1:25", "127.0.0.1:20-30", "127.0.0.1:40", false},
        {"127.0.0.1:10", "127.0.0.1:20-30", "127.0.0.1:20", false},
        {"127.0.0.1:10", "127.0.0.1:20-30", "127.0.0.1:30", false},
        {"127.0.0.1:10", "127.0.0.1:20-30", "127.0.0.1:10", false},
        {"127.0.0.1:10-11", "127.0.0.1:20-30", "127.0.0.1:40", false},
        {"127.0.0.1:10", "127.0.0.1:20-30", "127.0.0.1:40-41", false},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct config *c = load("",
                                (struct config_flags){.data = "/srv/state",
                                                      .dashboard_listen = cases[i].dashboard,
                                                      .environment_listen = cases[i].environments,
                                                      .api_listen = cases[i].api},
                                NULL);
        if ((c != NULL) != cases[i].good)
            fail_msg("%s %s %s", cases[i].dashboard, cases[i].environments, cases[i].api);
        config_free(c);
    }
}

/* Without a login everybody is an administrator: no port of any kind may be open to others then. */
static void no_login_on_loopback_alone(void **state)
{
    static const struct config_flags open[] = {{.dashboard_listen = "10.0.0.1:30001"},
                                               {.environment_listen = "10.0.0.1:31000-31999"},
                                               {.api_listen = "10.0.0.1:30443"},
                                               {.dashboard_listen = "[::]:30001"}};
    for (size_t i = 0; i < ARRAY_SIZE(open); i++) {
        struct config_flags flags = open[i];
        struct config *c = load("disableAuth: true\n", flags, NULL);
        assert_null(c);
        c = load("disableAuth: false\n", flags, NULL);
        assert_non_null(c);
        config_free(c);
        flags.insecure = true;
        c = load("disableAuth: true\n", flags, NULL);
        assert_non_null(c);
        config_free(c);
    }
    struct config *c = load("disableAuth: true\n", (struct config_flags){.dashboard_listen = "[::1]:30001"}, NULL);
    assert_non_null(c);
    config_free(c);
}

static void names_of_this_machine(void **state)
{
    struct config *c =
        load("serverIP: ' a.example ,::1,10.0.0.1'\n", (struct config_flags){.dashboard_listen = "0.0.0.0:443"}, NULL);

    assert_string_equal(c->hosts[0], "a.example");
    assert_string_equal(c->hosts[1], "::1");
    assert_string_equal(c->hosts[2], "10.0.0.1");
    assert_true(config_host_allowed(c, "a.example", 443));
    assert_true(config_host_allowed(c, "A.EXAMPLE:443", 443));
    assert_true(config_host_allowed(c, "[::1]", 443));
    assert_true(config_host_allowed(c, "a.example", 80));
    assert_false(config_host_allowed(c, "a.example", 444));
    assert_false(config_host_allowed(c, "a.example:80", 443));
    assert_false(config_host_allowed(c, "::1", 443));
    assert_false(config_host_allowed(c, "", 443));
    assert_false(config_host_allowed(c, "a.example.", 443));
    assert_false(config_host_allowed(c, "xa.example", 443));
    config_free(c);
    static const char *const bad[] = {"serverIP: ''\n", "serverIP: 'a,'\n", "serverIP: 'a,,b'\n",
                                      "serverIP: 5\n",  "serverIP: a_b\n",  "serverIP: 'a:b;c'\n"};
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        assert_null(load(bad[i], (struct config_flags){0}, NULL));
    char longest[254];
    memset(longest, 'a', 253);
    longest[253] = '\0';
    _cleanup_free_ char *good = xasprintf("serverIP: %s\n", longest), *longer = xasprintf("serverIP: %sa\n", longest);
    c = load(good, (struct config_flags){0}, NULL);
    assert_non_null(c);
    config_free(c);
    assert_null(load(longer, (struct config_flags){0}, NULL));
}

static void ids_fit_in_32_bits(void **state)
{
    static const struct {
        const char *yaml;
        bool good;
    } cases[] = {
        {"hostIdBase: 4294836224\nhostIdRanges: 1\n", true}, /* up to 2^32 - 65536 */
        {"hostIdBase: 4294901760\nhostIdRanges: 1\n", false},
        {"hostIdBase: 4294836224\nhostIdRanges: 2\n", false},
        {"hostIdBase: 65537\n", false},
        {"hostIdBase: 65536\nhostIdRanges: 32768\n", true},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct config *c = load(cases[i].yaml, (struct config_flags){0}, NULL);
        if ((c != NULL) != cases[i].good)
            fail_msg("%s", cases[i].yaml);
        config_free(c);
    }
}

/* In another process, which is no root and has those variables. */
static void assert_defaults(const char *state, const char *home, const char *runtime, const char *expected_state,
                            const char *expected_runtime)
{
    pid_t pid = fork();
    int status;

    if (pid == 0) {
        if (geteuid() == 0 && (setgid(61001) < 0 || setuid(61001) < 0))
            _exit(2);
        if (state)
            setenv("XDG_STATE_HOME", state, 1);
        else
            unsetenv("XDG_STATE_HOME");
        if (runtime)
            setenv("XDG_RUNTIME_DIR", runtime, 1);
        else
            unsetenv("XDG_RUNTIME_DIR");
        setenv("HOME", home, 1);
        _cleanup_free_ char *s = state_default(), *r = runtime_default();
        _exit(streq(s, expected_state) && starts_with(r, expected_runtime) ? 0 : 1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void where_state_and_sockets_go(void **state)
{
    assert_defaults("/x/state", "/home/u", "/run/user/5", "/x/state/open-hydra", "/run/user/5/open-hydra");
    assert_defaults(NULL, "/home/u", NULL, "/home/u/.local/state/open-hydra", "/tmp/open-hydra-");
    assert_defaults("relative", "/home/u", "relative", "/home/u/.local/state/open-hydra", "/tmp/open-hydra-");
    if (geteuid() != 0)
        return;
    _cleanup_free_ char *s = state_default(), *r = runtime_default();
    assert_string_equal(s, "/var/lib/open-hydra");
    assert_string_equal(r, "/run/open-hydra");
}

static void relative_flags_begin_here(void **state)
{
    char cwd[PATH_MAX];

    assert_non_null(getcwd(cwd, sizeof(cwd)));
    if (geteuid() == 0)
        assert_int_equal(chdir("/var/tmp"), 0);
    _cleanup_free_ char *here = getcwd(NULL, 0), *expected = xasprintf("%s/state", here),
                        *web = xasprintf("%s/web", here);
    struct config *c = load("", (struct config_flags){.data = "./state", .web = "web", .runtime = "/srv/run"}, NULL);
    assert_int_equal(chdir(cwd), 0);
    if (geteuid() == 0)
        assert_string_equal(c->data, expected);
    assert_string_equal(c->web, web);
    assert_string_equal(c->runtime, "/srv/run");
    config_free(c);
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
        cmocka_unit_test(defaults_are_the_documented_ones),
        cmocka_unit_test(every_number_has_its_bounds),
        cmocka_unit_test(the_bounds_are_these),
        cmocka_unit_test(every_key_takes_its_type_alone),
        cmocka_unit_test(processes_follow_the_memory),
        cmocka_unit_test(languages_have_names),
        cmocka_unit_test(this_machine_says_where_it_is),
        cmocka_unit_test(what_environments_are_told_is_checked),
        cmocka_unit_test(no_key_is_given_twice),
        cmocka_unit_test(every_key_sets_its_own_field),
        cmocka_unit_test(images_are_allowed_by_patterns),
        cmocka_unit_test(networks_are_networks),
        cmocka_unit_test(sources_are_folders_or_hosts),
        cmocka_unit_test(tls_unless_everything_is_local),
        cmocka_unit_test(folders_that_environments_must_not_get),
        cmocka_unit_test(the_storage_of_an_ordinary_users_engine),
        cmocka_unit_test(folders_that_are_good),
        cmocka_unit_test(folders_that_stand_in_each_others_way),
        cmocka_unit_test(our_own_folders_are_our_own),
        cmocka_unit_test(links_are_followed_before_they_are_judged),
        cmocka_unit_test(a_state_folder_that_service_users_cannot_reach),
        cmocka_unit_test(reads_the_originals_file),
        cmocka_unit_test(mistakes_name_file_line_and_key),
        cmocka_unit_test(flags_win_over_the_file),
        cmocka_unit_test(other_addresses_need_tls_or_a_word),
        cmocka_unit_test(addresses_to_listen_on),
        cmocka_unit_test(ports_may_touch_but_not_overlap),
        cmocka_unit_test(no_login_on_loopback_alone),
        cmocka_unit_test(names_of_this_machine),
        cmocka_unit_test(ids_fit_in_32_bits),
        cmocka_unit_test(where_state_and_sockets_go),
        cmocka_unit_test(relative_flags_begin_here),
        cmocka_unit_test(a_missing_file_is_an_error),
    };
    return cmocka_run_group_tests(tests, make_file, drop_file);
}
