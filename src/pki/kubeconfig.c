#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/encoding.h"
#include "base/io.h"
#include "base/secret.h"
#include "base/yaml.h"
#include "pki/authority.h"
#include "pki/pki.h"

#define KUBECONFIG_MAX ((size_t)256 << 10)

static void add_base64(struct buffer *b, const char *indent_and_key, const char *text)
{
    _cleanup_secret_ char *encoded = base64_encode(text, strlen(text));

    buffer_puts(b, indent_and_key);
    buffer_puts(b, encoded);
    buffer_puts(b, "\n");
}

static void write_text(struct buffer *b, const char *server_url, X509 *ca, X509 *admin, EVP_PKEY *key)
{
    _cleanup_free_ char *ca_pem = x509_certificate_pem(ca), *admin_pem = x509_certificate_pem(admin);
    _cleanup_secret_ char *key_pem = x509_key_pem(key);

    buffer_puts(b, "apiVersion: v1\nkind: Config\nclusters:\n- name: open-hydra\n  cluster:\n    server: ");
    buffer_json_string(b, str_from(server_url));
    add_base64(b, "\n    certificate-authority-data: ", ca_pem);
    buffer_puts(b, "users:\n- name: open-hydra-admin\n  user:\n");
    add_base64(b, "    client-certificate-data: ", admin_pem);
    add_base64(b, "    client-key-data: ", key_pem);
    buffer_puts(b, "contexts:\n- name: open-hydra\n  context:\n    cluster: open-hydra\n    user: open-hydra-admin\n"
                   "current-context: open-hydra\n");
}

/* Returns the admin certificate that the file now holds, or NULL. */
static X509 *write_kubeconfig(const struct pki_options *o, const struct issuer *ca, const char *server_url,
                              const char *path, struct error **err)
{
    _cleanup_buffer_ struct buffer text = BUFFER_MAX(KUBECONFIG_MAX);
    _cleanup_key_ EVP_PKEY *key = x509_make_key(err);
    if (key == NULL)
        return NULL;
    _cleanup_x509_ X509 *admin = pki_issue_admin(o->directory, ca, key, err);
    if (admin == NULL)
        return NULL;
    write_text(&text, server_url, ca->certificate, admin, key);
    int result = write_file_atomic(path, buffer_str(&text), 0600, err);
    explicit_bzero(text.p, text.n);
    return result < 0 ? NULL : steal_ptr(admin);
}

int pki_write_kubeconfig(const struct pki_options *options, const char *server_url, const char *path,
                         struct error **err)
{
    _cleanup_issuer_ struct issuer ca = {0};
    _cleanup_close_ int lock = pki_open(options->directory, &ca, err);
    if (lock < 0)
        return -1;
    _cleanup_x509_ X509 *admin = write_kubeconfig(options, &ca, server_url, path, err);
    return admin ? 0 : -1;
}

int pki_renew_kubeconfig(const struct pki_options *options, const char *server_url, const char *path,
                         struct error **err)
{
    _cleanup_issuer_ struct issuer ca = {0};
    _cleanup_close_ int lock = pki_open(options->directory, &ca, err);
    if (lock < 0)
        return -1;
    _cleanup_x509_ X509 *admin = write_kubeconfig(options, &ca, server_url, path, err);
    return admin ? pki_revoke_admins_but(options->directory, admin, err) : -1;
}

static yyjson_val *only_item(yyjson_val *root, const char *list, const char *key)
{
    return yyjson_obj_get(yyjson_arr_get_first(yyjson_obj_get(root, list)), key);
}

static char *decode_field(yyjson_val *object, const char *key)
{
    const char *text = json_str_at(object, key);
    size_t n;
    return text ? base64_decode(str_from(text), &n) : NULL;
}

static bool admin_is_good(const struct pki_options *o, const struct issuer *ca, yyjson_val *user)
{
    _cleanup_free_ char *pem = decode_field(user, "client-certificate-data");
    _cleanup_secret_ char *key_pem = decode_field(user, "client-key-data");
    _cleanup_x509_ X509 *admin = pem ? x509_parse_certificate(pem) : NULL;
    _cleanup_key_ EVP_PKEY *key = key_pem ? x509_parse_key(key_pem) : NULL;

    return admin && key && x509_belongs(admin, key) && x509_signed_by(admin, ca->certificate) &&
           !x509_is_due(admin, clock_realtime_us()) && !pki_is_revoked(o->directory, admin);
}

static bool kubeconfig_is_good(const struct pki_options *o, const struct issuer *ca, const char *server_url,
                               const char *path)
{
    size_t n = 0;
    _cleanup_secret_ char *text = read_file(path, KUBECONFIG_MAX, &n, NULL);
    _cleanup_json_ yyjson_doc *doc = text ? yaml_parse((struct str){text, n}, NULL, NULL) : NULL;
    yyjson_val *root = yyjson_doc_get_root(doc), *cluster = only_item(root, "clusters", "cluster");
    _cleanup_free_ char *ca_pem = decode_field(cluster, "certificate-authority-data");
    _cleanup_x509_ X509 *trusted = ca_pem ? x509_parse_certificate(ca_pem) : NULL;

    return trusted && X509_cmp(trusted, ca->certificate) == 0 && streq(json_str_at(cluster, "server"), server_url) &&
           admin_is_good(o, ca, only_item(root, "users", "user"));
}

int pki_ensure_kubeconfig(const struct pki_options *options, const char *server_url, const char *path,
                          struct error **err)
{
    _cleanup_issuer_ struct issuer ca = {0};
    _cleanup_close_ int lock = pki_open(options->directory, &ca, err);
    if (lock < 0)
        return -1;
    if (kubeconfig_is_good(options, &ca, server_url, path))
        return 0;
    _cleanup_x509_ X509 *admin = write_kubeconfig(options, &ca, server_url, path, err);
    return admin ? 0 : -1;
}
