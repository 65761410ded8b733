#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/encoding.h"
#include "base/io.h"
#include "base/yaml.h"
#include "pki/authority.h"
#include "pki/pki.h"

#define URL "https://127.0.0.1:30443"

static const char *const hosts[] = {"127.0.0.1", "localhost", "lab.school.edu", "::1", NULL};

struct place {
    char directory[40];
    char *pki, *kubeconfig;
    struct pki_options options;
};

static int setup(void **state)
{
    struct place *p = xcalloc(1, sizeof(*p));
    memcpy(p->directory, "/tmp/open-hydra-test-XXXXXX", 28);
    if (mkdtemp(p->directory) == NULL)
        return -1;
    p->pki = xasprintf("%s/pki", p->directory);
    p->kubeconfig = xasprintf("%s/kubeconfig", p->directory);
    p->options = (struct pki_options){p->pki, hosts};
    *state = p;
    return 0;
}

static int teardown(void **state)
{
    static const char *const files[] = {"pki/ca.crt",
                                        "pki/ca.key",
                                        "pki/server.crt",
                                        "pki/server.key",
                                        "pki/admins",
                                        "pki/revoked",
                                        "pki/lock",
                                        "kubeconfig",
                                        "pki",
                                        ""};
    struct place *p = *state;
    for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
        _cleanup_free_ char *path = xasprintf("%s/%s", p->directory, files[i]);
        remove(path);
    }
    free(p->pki);
    free(p->kubeconfig);
    free(p);
    return 0;
}

static char *text_of(const struct place *p, const char *name)
{
    _cleanup_free_ char *path = xasprintf("%s/%s", p->directory, name);
    char *text = read_file(path, 1 << 20, NULL, NULL);
    assert_non_null(text);
    return text;
}

static void put(const struct place *p, const char *name, const char *text)
{
    _cleanup_free_ char *path = xasprintf("%s/%s", p->directory, name);
    assert_int_equal(write_file_atomic(path, str_from(text), 0600, NULL), 0);
}

static X509 *certificate(const struct place *p, const char *name)
{
    _cleanup_free_ char *pem = text_of(p, name);
    X509 *c = x509_parse_certificate(pem);
    assert_non_null(c);
    return c;
}

static unsigned mode_of(const struct place *p, const char *name)
{
    _cleanup_free_ char *path = xasprintf("%s/%s", p->directory, name);
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    return st.st_mode & 0777;
}

static void test_files_and_their_modes(void **state)
{
    struct place *p = *state;
    mode_t old = umask(0);
    assert_int_equal(pki_ensure(&p->options, NULL), 1);
    assert_int_equal(pki_write_kubeconfig(&p->options, URL, p->kubeconfig, NULL), 0);
    umask(old);
    assert_int_equal(mode_of(p, "pki/ca.key"), 0600);
    assert_int_equal(mode_of(p, "pki/server.key"), 0600);
    assert_int_equal(mode_of(p, "kubeconfig"), 0600);
    assert_int_equal(mode_of(p, "pki/ca.crt"), 0644);
    assert_int_equal(mode_of(p, "pki/server.crt"), 0644);
    assert_int_equal(mode_of(p, "pki/admins"), 0644);
}

static bool verifies(X509 *c, X509 *ca, int purpose, const char *host, const char *ip)
{
    X509_STORE *store = X509_STORE_new();
    X509_STORE_CTX *context = X509_STORE_CTX_new();
    X509_STORE_add_cert(store, ca);
    X509_STORE_CTX_init(context, store, c, NULL);
    X509_STORE_CTX_set_purpose(context, purpose);
    X509_VERIFY_PARAM *param = X509_STORE_CTX_get0_param(context);
    X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_X509_STRICT);
    if (host)
        X509_VERIFY_PARAM_set1_host(param, host, 0);
    if (ip)
        X509_VERIFY_PARAM_set1_ip_asc(param, ip);
    bool good = X509_verify_cert(context) == 1;
    X509_STORE_CTX_free(context);
    X509_STORE_free(store);
    return good;
}

static void test_leaf_verifies_strictly(void **state)
{
    struct place *p = *state;
    assert_int_equal(pki_ensure(&p->options, NULL), 1);
    _cleanup_x509_ X509 *ca = certificate(p, "pki/ca.crt"), *leaf = certificate(p, "pki/server.crt");
    assert_true(verifies(leaf, ca, X509_PURPOSE_SSL_SERVER, "lab.school.edu", NULL));
    assert_true(verifies(leaf, ca, X509_PURPOSE_SSL_SERVER, NULL, "127.0.0.1"));
    assert_true(verifies(leaf, ca, X509_PURPOSE_SSL_SERVER, NULL, "::1"));
    assert_false(verifies(leaf, ca, X509_PURPOSE_SSL_SERVER, "evil.example", NULL));
    assert_false(verifies(leaf, ca, X509_PURPOSE_SSL_CLIENT, NULL, NULL));
}

static void test_nothing_changes_without_need(void **state)
{
    struct place *p = *state;
    assert_int_equal(pki_ensure(&p->options, NULL), 1);
    _cleanup_free_ char *ca = text_of(p, "pki/ca.crt"), *leaf = text_of(p, "pki/server.crt");
    static const char *const same[] = {"localhost", "0:0:0:0:0:0:0:1", "127.0.0.1", "lab.school.edu", NULL};
    p->options.hosts = same;
    assert_int_equal(pki_ensure(&p->options, NULL), 0);
    _cleanup_free_ char *ca2 = text_of(p, "pki/ca.crt"), *leaf2 = text_of(p, "pki/server.crt");
    assert_string_equal(ca, ca2);
    assert_string_equal(leaf, leaf2);
}

static void test_leaf_follows_hosts(void **state)
{
    struct place *p = *state;
    static const char *const fewer[] = {"127.0.0.1", NULL}, *const more[] = {"127.0.0.1", "a,DNS:evil", NULL};
    assert_int_equal(pki_ensure(&p->options, NULL), 1);
    p->options.hosts = fewer;
    assert_int_equal(pki_ensure(&p->options, NULL), 1);
    assert_int_equal(pki_ensure(&p->options, NULL), 0);
    p->options.hosts = more;
    assert_int_equal(pki_ensure(&p->options, NULL), 1);
    _cleanup_x509_ X509 *leaf = certificate(p, "pki/server.crt");
    assert_true(x509_has_hosts(leaf, more));
    assert_int_equal(X509_check_host(leaf, "evil", 0, 0, NULL), 0);
}

static void test_damaged_leaf_is_replaced(void **state)
{
    struct place *p = *state;
    static const char *const files[] = {"pki/server.crt", "pki/server.key"};
    assert_int_equal(pki_ensure(&p->options, NULL), 1);
    for (size_t i = 0; i < 2; i++) {
        put(p, files[i], "damaged");
        assert_int_equal(pki_ensure(&p->options, NULL), 1);
        assert_int_equal(pki_ensure(&p->options, NULL), 0);
    }
    _cleanup_free_ char *foreign = text_of(p, "pki/ca.key");
    put(p, "pki/server.key", foreign); /* a key of another certificate */
    assert_int_equal(pki_ensure(&p->options, NULL), 1);
}

static void test_due_leaf_is_replaced(void **state)
{
    struct place *p = *state;
    assert_int_equal(pki_ensure(&p->options, NULL), 1);
    _cleanup_issuer_ struct issuer ca = {0};
    int lock = pki_open(p->pki, &ca, NULL);
    assert_true(lock >= 0);
    struct certificate_request request = {.common_name = "open-hydra", .hosts = hosts, .seconds = 100};
    _cleanup_free_ char *key_pem = text_of(p, "pki/server.key");
    _cleanup_key_ EVP_PKEY *key = x509_parse_key(key_pem);
    _cleanup_x509_ X509 *old = x509_issue(&request, key, &ca, NULL); /* begun 5 minutes ago, 100 s left */
    close(lock);
    _cleanup_free_ char *pem = x509_certificate_pem(old);
    put(p, "pki/server.crt", pem);
    assert_int_equal(pki_ensure(&p->options, NULL), 1);
}

static void test_lives(void **state)
{
    struct place *p = *state;
    const int64_t day = (int64_t)86400 * 1000000;
    assert_int_equal(pki_ensure(&p->options, NULL), 1);
    _cleanup_x509_ X509 *ca = certificate(p, "pki/ca.crt"), *leaf = certificate(p, "pki/server.crt");
    int64_t now = clock_realtime_us();
    assert_true(x509_expires_us(ca) > now + 3649 * day && x509_expires_us(ca) <= now + 3650 * day);
    assert_true(x509_expires_us(leaf) > now + 364 * day && x509_expires_us(leaf) <= now + 365 * day);
    /* Others' clocks may be some minutes behind. */
    assert_true(x509_begins_us(leaf) < now - 299 * INT64_C(1000000) && x509_begins_us(leaf) > now - day);
    assert_false(x509_is_due(leaf, now));
    assert_false(x509_is_due(leaf, now + 240 * day));
    assert_true(x509_is_due(leaf, now + 245 * day));
    assert_true(x509_is_due(leaf, now - day));
}

static void test_an_authority_is_never_replaced_by_itself(void **state)
{
    struct place *p = *state;
    _cleanup_error_ struct error *e = NULL;
    assert_int_equal(pki_ensure(&p->options, NULL), 1);
    _cleanup_free_ char *good = text_of(p, "pki/ca.key"), *foreign = text_of(p, "pki/server.key");

    put(p, "pki/ca.key", foreign);
    assert_int_equal(pki_ensure(&p->options, &e), -1);
    assert_non_null(strstr(e->message, "does not belong"));
    put(p, "pki/ca.key", "damaged");
    assert_int_equal(pki_ensure(&p->options, NULL), -1);
    put(p, "pki/ca.key", good);
    assert_int_equal(pki_ensure(&p->options, NULL), 0);
    put(p, "pki/ca.crt", "damaged");
    assert_int_equal(pki_ensure(&p->options, NULL), -1);
}

/* A crash between the two files of a first start leaves a key alone. */
static void test_a_key_alone_starts_anew(void **state)
{
    struct place *p = *state;
    assert_int_equal(mkdir(p->pki, 0755), 0);
    put(p, "pki/ca.key", "half");
    assert_int_equal(pki_ensure(&p->options, NULL), 1);
}

/* Once anything was issued, whoever has it trusts that key: what is lost is said, not made anew. */
static void test_an_authority_is_not_made_over_a_key(void **state)
{
    static const char *const traces[] = {"pki/server.crt", "pki/server.key", "pki/admins"};
    struct place *p = *state;
    assert_int_equal(pki_ensure(&p->options, NULL), 1);
    assert_int_equal(pki_ensure_kubeconfig(&p->options, URL, p->kubeconfig, NULL), 0);
    _cleanup_free_ char *key = text_of(p, "pki/ca.key"), *crt = text_of(p, "pki/ca.crt"),
                        *path = xasprintf("%s/ca.crt", p->pki);
    assert_int_equal(unlink(path), 0);
    for (size_t kept = 0; kept < ARRAY_SIZE(traces); kept++) {
        _cleanup_error_ struct error *e = NULL;
        for (size_t i = 0; i < ARRAY_SIZE(traces); i++) {
            _cleanup_free_ char *trace = xasprintf("%s/%s", p->directory, traces[i]);
            unlink(trace);
        }
        put(p, traces[kept], "x");
        assert_int_equal(pki_ensure(&p->options, &e), -1);
        assert_non_null(strstr(e->message, "restore ca.crt"));
        assert_int_equal(pki_ensure_kubeconfig(&p->options, URL, p->kubeconfig, NULL), -1);
        assert_int_equal(pki_renew_kubeconfig(&p->options, URL, p->kubeconfig, NULL), -1);
        _cleanup_free_ char *still = text_of(p, "pki/ca.key");
        assert_string_equal(still, key);
    }
    put(p, "pki/ca.crt", crt);
    assert_int_equal(pki_ensure(&p->options, NULL), 1);
    _cleanup_free_ char *same = text_of(p, "pki/ca.key");
    assert_string_equal(same, key);
}

static void test_an_authority_that_is_gone_is_made_anew(void **state)
{
    struct place *p = *state;
    assert_int_equal(pki_ensure(&p->options, NULL), 1);
    _cleanup_free_ char *key = text_of(p, "pki/ca.key"), *a = xasprintf("%s/ca.crt", p->pki),
                        *b = xasprintf("%s/ca.key", p->pki);
    assert_int_equal(unlink(a), 0);
    assert_int_equal(unlink(b), 0);
    assert_int_equal(pki_ensure(&p->options, NULL), 1);
    _cleanup_free_ char *other = text_of(p, "pki/ca.key");
    assert_string_not_equal(key, other);
}

static void test_what_the_clock_says_of_an_authority(void **state)
{
    const int64_t second = 1000000, year = 365 * 86400 * second, begins = 50 * year, expires = 60 * year;

    assert_int_equal(pki_authority_time(begins, expires, begins - second), AUTHORITY_NOT_YET);
    assert_int_equal(pki_authority_time(begins, expires, begins - 40 * year), AUTHORITY_NOT_YET);
    assert_int_equal(pki_authority_time(begins, expires, begins), AUTHORITY_GOOD);
    assert_int_equal(pki_authority_time(begins, expires, expires - year), AUTHORITY_GOOD);
    assert_int_equal(pki_authority_time(begins, expires, expires - year + second), AUTHORITY_EXPIRES_SOON);
    assert_int_equal(pki_authority_time(begins, expires, expires), AUTHORITY_EXPIRES_SOON);
    assert_int_equal(pki_authority_time(begins, expires, expires + second), AUTHORITY_EXPIRED);
    assert_false(pki_clock_is_set(0));
    assert_false(pki_clock_is_set((INT64_C(1767225600) - 1) * second));
    assert_true(pki_clock_is_set(INT64_C(1767225600) * second));
    assert_true(pki_clock_is_set(clock_realtime_us()));
}

/* One made by a clock that was ahead, or has run out. */
static void test_authorities_of_other_times(void **state)
{
    struct place *p = *state;
    assert_int_equal(mkdir(p->pki, 0755), 0);
    _cleanup_key_ EVP_PKEY *key = x509_make_key(NULL);
    _cleanup_free_ char *key_pem = x509_key_pem(key);
    put(p, "pki/ca.key", key_pem);
    const struct {
        long begins, expires;
        int rc;
    } cases[] = {{86400L * 400, 86400L * 4000, 1}, {-86400L * 4000, -1, -1}, {-86400L, 86400L * 30, 0}};
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct certificate_request request = {.common_name = "open-hydra CA", .authority = true, .seconds = 1000};
        _cleanup_error_ struct error *e = NULL;
        _cleanup_x509_ X509 *c = x509_issue(&request, key, NULL, NULL);
        X509_gmtime_adj(X509_getm_notBefore(c), cases[i].begins);
        X509_gmtime_adj(X509_getm_notAfter(c), cases[i].expires);
        X509_sign(c, key, EVP_sha256());
        _cleanup_free_ char *pem = x509_certificate_pem(c);
        put(p, "pki/ca.crt", pem);
        assert_int_equal(pki_ensure(&p->options, &e), cases[i].rc);
        assert_true(e == NULL || strstr(e->message, "has expired"));
    }
}

static yyjson_doc *kubeconfig(const struct place *p)
{
    _cleanup_free_ char *text = text_of(p, "kubeconfig");
    yyjson_doc *doc = yaml_parse(str_from(text), NULL, NULL);
    assert_non_null(doc);
    return doc;
}

static X509 *admin_of(const struct place *p)
{
    _cleanup_json_ yyjson_doc *doc = kubeconfig(p);
    yyjson_val *user = yyjson_obj_get(yyjson_arr_get_first(json_at(yyjson_doc_get_root(doc), "users")), "user");
    size_t n;
    _cleanup_free_ char *pem = base64_decode(str_from(json_str_at(user, "client-certificate-data")), &n);
    X509 *c = x509_parse_certificate(pem);
    assert_non_null(c);
    return c;
}

static void test_kubeconfig_holds_an_administrator(void **state)
{
    struct place *p = *state;
    assert_int_equal(pki_write_kubeconfig(&p->options, URL, p->kubeconfig, NULL), 0);
    _cleanup_json_ yyjson_doc *doc = kubeconfig(p);
    yyjson_val *root = yyjson_doc_get_root(doc);
    assert_string_equal(json_str_at(root, "kind"), "Config");
    assert_string_equal(json_str_at(root, "current-context"), "open-hydra");
    yyjson_val *cluster = yyjson_obj_get(yyjson_arr_get_first(json_at(root, "clusters")), "cluster");
    assert_string_equal(json_str_at(cluster, "server"), URL);

    _cleanup_x509_ X509 *admin = admin_of(p), *ca = certificate(p, "pki/ca.crt");
    assert_true(verifies(admin, ca, X509_PURPOSE_SSL_CLIENT, NULL, NULL));
    assert_false(verifies(admin, ca, X509_PURPOSE_SSL_SERVER, NULL, NULL));
    char name[200];
    X509_NAME_oneline(X509_get_subject_name(admin), name, sizeof(name));
    assert_string_equal(name, "/O=system:masters/CN=open-hydra-admin");
}

static bool is_written_anew(const struct place *p, const char *url)
{
    _cleanup_free_ char *before = path_exists(p->kubeconfig) ? text_of(p, "kubeconfig") : NULL;
    assert_int_equal(pki_ensure_kubeconfig(&p->options, url, p->kubeconfig, NULL), 0);
    _cleanup_free_ char *after = text_of(p, "kubeconfig");
    return before == NULL || strcmp(before, after) != 0;
}

static void test_kubeconfig_is_kept_while_good(void **state)
{
    struct place *p = *state;
    assert_true(is_written_anew(p, URL));
    assert_false(is_written_anew(p, URL));
    assert_true(is_written_anew(p, "https://lab:30443"));
    assert_false(is_written_anew(p, "https://lab:30443"));
    put(p, "kubeconfig", "{ not: [yaml");
    assert_true(is_written_anew(p, URL));
    put(p, "kubeconfig", "[]");
    assert_true(is_written_anew(p, URL));
}

static char *with_value(const char *text, const char *key, const char *pem)
{
    _cleanup_free_ char *value = base64_encode(pem, strlen(pem));
    const char *at = strstr(text, key), *end = at ? strchr(at, '\n') : NULL;

    assert_non_null(end);
    return xasprintf("%.*s%s%s%s", (int)(at - text), text, key, value, end);
}

/* A kubeconfig whose certificate, of a year, is so old. */
static void put_aged(const struct place *p, long days)
{
    static const struct certificate_request request = {
        .common_name = "open-hydra-admin", .organization = "system:masters", .seconds = 1};
    _cleanup_issuer_ struct issuer ca = {0};
    int lock = pki_open(p->pki, &ca, NULL);
    assert_true(lock >= 0);
    close(lock);
    _cleanup_key_ EVP_PKEY *key = x509_make_key(NULL);
    _cleanup_x509_ X509 *c = x509_issue(&request, key, &ca, NULL);
    X509_gmtime_adj(X509_getm_notBefore(c), -86400L * days);
    X509_gmtime_adj(X509_getm_notAfter(c), 86400L * (365 - days));
    assert_true(X509_sign(c, ca.key, EVP_sha256()) > 0);
    _cleanup_free_ char *text = text_of(p, "kubeconfig"), *pem = x509_certificate_pem(c), *key_pem = x509_key_pem(key);
    _cleanup_free_ char *half = with_value(text, "client-certificate-data: ", pem),
                        *whole = with_value(half, "client-key-data: ", key_pem);
    put(p, "kubeconfig", whole);
}

static void test_due_kubeconfig_is_written_anew(void **state)
{
    struct place *p = *state;

    assert_true(is_written_anew(p, URL));
    put_aged(p, 200);
    assert_false(is_written_anew(p, URL));
    put_aged(p, 250);
    assert_true(is_written_anew(p, URL));
}

/* It would trust nobody who answers here. */
static void test_kubeconfig_that_trusts_another_is_written_anew(void **state)
{
    static const struct certificate_request other = {
        .common_name = "open-hydra CA", .authority = true, .seconds = 1000};
    struct place *p = *state;
    _cleanup_key_ EVP_PKEY *key = x509_make_key(NULL);
    _cleanup_x509_ X509 *ca = x509_issue(&other, key, NULL, NULL);
    _cleanup_free_ char *pem = x509_certificate_pem(ca);

    assert_true(is_written_anew(p, URL));
    _cleanup_free_ char *text = text_of(p, "kubeconfig"),
                        *changed = with_value(text, "certificate-authority-data: ", pem);
    put(p, "kubeconfig", changed);
    assert_true(is_written_anew(p, URL));
}

/* Somebody has edited it, or a copy was cut off. */
static void test_a_list_without_its_last_line_feed(void **state)
{
    struct place *p = *state;

    assert_int_equal(pki_write_kubeconfig(&p->options, URL, p->kubeconfig, NULL), 0);
    put(p, "pki/admins", "C3 2999-01-01T00:00:00Z");
    assert_int_equal(pki_write_kubeconfig(&p->options, URL, p->kubeconfig, NULL), 0);
    _cleanup_x509_ X509 *now = admin_of(p);
    _cleanup_free_ char *serial = x509_serial(now), *admins = text_of(p, "pki/admins"),
                        *begins = xasprintf("C3 2999-01-01T00:00:00Z\n%s ", serial);
    assert_true(starts_with(admins, begins));
}

/* Where nobody can tell, nobody comes in. */
static void test_a_list_that_cannot_be_read(void **state)
{
    struct place *p = *state;
    _cleanup_free_ char *list = xasprintf("%s/revoked", p->pki);

    assert_int_equal(pki_write_kubeconfig(&p->options, URL, p->kubeconfig, NULL), 0);
    _cleanup_x509_ X509 *admin = admin_of(p);
    assert_false(pki_is_revoked(p->pki, admin));
    assert_int_equal(mkdir(list, 0700), 0);
    assert_true(pki_is_revoked(p->pki, admin));
}

static void test_renewal_revokes_the_older_ones(void **state)
{
    struct place *p = *state;
    assert_int_equal(pki_write_kubeconfig(&p->options, URL, p->kubeconfig, NULL), 0);
    _cleanup_x509_ X509 *first = admin_of(p);
    assert_int_equal(pki_write_kubeconfig(&p->options, URL, p->kubeconfig, NULL), 0);
    _cleanup_x509_ X509 *second = admin_of(p);
    assert_false(pki_is_revoked(p->pki, first));

    _cleanup_free_ char *old = text_of(p, "kubeconfig");
    assert_int_equal(pki_renew_kubeconfig(&p->options, URL, p->kubeconfig, NULL), 0);
    _cleanup_x509_ X509 *third = admin_of(p);
    assert_true(pki_is_revoked(p->pki, first));
    assert_true(pki_is_revoked(p->pki, second));
    assert_false(pki_is_revoked(p->pki, third));

    assert_int_equal(pki_renew_kubeconfig(&p->options, URL, p->kubeconfig, NULL), 0);
    assert_true(pki_is_revoked(p->pki, third));
    _cleanup_free_ char *list = text_of(p, "pki/revoked");
    size_t lines = 0;
    for (const char *c = list; *c; c++)
        lines += *c == '\n';
    assert_int_equal(lines, 3);

    put(p, "kubeconfig", old); /* one with a revoked certificate is not kept */
    assert_true(is_written_anew(p, URL));
}

/* Expired ones leave both lists; what somebody wrote by hand, and what has no date, stays. */
static void test_lists_hold_what_lives(void **state)
{
    struct place *p = *state;
    assert_int_equal(pki_write_kubeconfig(&p->options, URL, p->kubeconfig, NULL), 0);
    put(p, "pki/admins", "A1 2001-01-01T00:00:00Z\nB2 2001-01-01T00:00:00Z\nC3 2999-01-01T00:00:00Z\nD4 someday\n");
    put(p, "pki/revoked", "A1\n\nC3\nE5\n");
    assert_int_equal(pki_renew_kubeconfig(&p->options, URL, p->kubeconfig, NULL), 0);
    _cleanup_x509_ X509 *now = admin_of(p);
    _cleanup_free_ char *serial = x509_serial(now), *revoked = text_of(p, "pki/revoked"),
                        *admins = text_of(p, "pki/admins");
    assert_string_equal(revoked, "C3\nE5\nD4\n");
    assert_true(starts_with(admins, "C3 2999-01-01T00:00:00Z\nD4 someday\n"));
    assert_non_null(strstr(admins, serial));
    assert_null(strstr(admins, "A1 "));
    assert_null(strstr(admins, "B2 "));
}

/* An authority of the same name and key identifier, whose key is another's. */
static void test_a_namesake_has_signed_nothing(void **state)
{
    static const struct certificate_request authority = {.common_name = "ca", .authority = true, .seconds = 3600},
                                            request = {.common_name = "leaf", .seconds = 600};
    _cleanup_key_ EVP_PKEY *key = x509_make_key(NULL), *other = x509_make_key(NULL), *leaf_key = x509_make_key(NULL);
    _cleanup_x509_ X509 *ca = x509_issue(&authority, key, NULL, NULL), *namesake = X509_dup(ca);
    assert_int_equal(X509_set_pubkey(namesake, other), 1);
    assert_true(X509_sign(namesake, other, EVP_sha256()) > 0);
    const struct issuer issuer = {ca, key};
    _cleanup_x509_ X509 *leaf = x509_issue(&request, leaf_key, &issuer, NULL);
    assert_int_equal(X509_check_issued(namesake, leaf), X509_V_OK);
    assert_false(x509_signed_by(leaf, namesake));
    assert_true(x509_signed_by(leaf, ca));
}

static void test_no_folder_is_an_error(void **state)
{
    struct place *p = *state;
    _cleanup_error_ struct error *e = NULL;
    put(p, "pki", "a file in its place");
    assert_int_equal(pki_ensure(&p->options, &e), -1);
    assert_non_null(e);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_files_and_their_modes),
        T(test_leaf_verifies_strictly),
        T(test_nothing_changes_without_need),
        T(test_leaf_follows_hosts),
        T(test_damaged_leaf_is_replaced),
        T(test_due_leaf_is_replaced),
        T(test_lives),
        T(test_an_authority_is_never_replaced_by_itself),
        T(test_a_key_alone_starts_anew),
        T(test_an_authority_is_not_made_over_a_key),
        T(test_an_authority_that_is_gone_is_made_anew),
        T(test_what_the_clock_says_of_an_authority),
        T(test_authorities_of_other_times),
        T(test_kubeconfig_holds_an_administrator),
        T(test_kubeconfig_is_kept_while_good),
        T(test_due_kubeconfig_is_written_anew),
        T(test_kubeconfig_that_trusts_another_is_written_anew),
        T(test_a_list_without_its_last_line_feed),
        T(test_a_list_that_cannot_be_read),
        T(test_renewal_revokes_the_older_ones),
        T(test_lists_hold_what_lives),
        T(test_a_namesake_has_signed_nothing),
        T(test_no_folder_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
