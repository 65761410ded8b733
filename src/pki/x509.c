#include "pki/x509.h"

#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <string.h>
#include <time.h>

#include "base/address.h"
#include "base/alloc.h"
#include "base/buffer.h"
#include "base/clock.h"
#include "base/map.h"
#include "base/str.h"

/* Clocks of a class-room differ a little. */
#define BACKDATED (5 * 60)
#define SERIAL_BITS 127
#define SECOND 1000000

static int x509_failed(struct error **err, const char *what)
{
    char text[256] = "unknown error";

    if (ERR_peek_last_error())
        ERR_error_string_n(ERR_peek_last_error(), text, sizeof(text));
    ERR_clear_error();
    return error_set(err, REASON_INTERNAL, "%s: %s", what, text);
}

EVP_PKEY *x509_make_key(struct error **err)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");

    if (key == NULL)
        x509_failed(err, "make a key");
    return key;
}

static int set_serial(X509 *c)
{
    BIGNUM *n = BN_new();
    /* The top bit is set, so that the hex form has no leading zeros to be lost. */
    bool good = n && BN_rand(n, SERIAL_BITS, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ANY) &&
                BN_to_ASN1_INTEGER(n, X509_get_serialNumber(c));
    BN_free(n);
    return good ? 0 : -1;
}

static int set_subject(X509 *c, const struct certificate_request *r)
{
    X509_NAME *name = X509_get_subject_name(c);

    if (r->organization &&
        !X509_NAME_add_entry_by_txt(name, "O", MBSTRING_UTF8, (const unsigned char *)r->organization, -1, -1, 0))
        return -1;
    return X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const unsigned char *)r->common_name, -1, -1, 0) ? 0
                                                                                                                   : -1;
}

static int add_extension(X509 *c, X509V3_CTX *context, int nid, const char *value)
{
    X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, context, nid, value);
    int result = e && X509_add_ext(c, e, -1) ? 0 : -1;

    X509_EXTENSION_free(e);
    return result;
}

/* An address goes in as one, anything else as a DNS name; not through OpenSSL's text form, in which a comma would start
 * another. */
static GENERAL_NAME *general_name(const char *host)
{
    unsigned char address[16];
    size_t n = address_parse(host, address);
    ASN1_STRING *value = n ? ASN1_OCTET_STRING_new() : ASN1_IA5STRING_new();
    GENERAL_NAME *out = GENERAL_NAME_new();

    if (value == NULL || out == NULL || !ASN1_STRING_set(value, n ? (const void *)address : host, n ? (int)n : -1)) {
        ASN1_STRING_free(value);
        GENERAL_NAME_free(out);
        return NULL;
    }
    GENERAL_NAME_set0_value(out, n ? GEN_IPADD : GEN_DNS, value);
    return out;
}

static int add_hosts(X509 *c, const char *const *hosts)
{
    GENERAL_NAMES *names = sk_GENERAL_NAME_new_null();
    int result = names ? 0 : -1;

    for (; result == 0 && *hosts; hosts++) {
        GENERAL_NAME *name = general_name(*hosts);
        if (name == NULL || !sk_GENERAL_NAME_push(names, name)) {
            GENERAL_NAME_free(name);
            result = -1;
        }
    }
    if (result == 0 && X509_add1_ext_i2d(c, NID_subject_alt_name, names, 0, X509V3_ADD_DEFAULT) != 1)
        result = -1;
    GENERAL_NAMES_free(names);
    return result;
}

/* RFC 5280 §4.2.1. */
static int add_extensions(X509 *c, const struct certificate_request *r, X509 *issuer)
{
    X509V3_CTX context;

    X509V3_set_ctx(&context, issuer, c, NULL, NULL, 0);
    if (add_extension(c, &context, NID_subject_key_identifier, "hash") < 0)
        return -1;
    if (issuer != c && add_extension(c, &context, NID_authority_key_identifier, "keyid:always") < 0)
        return -1;
    if (r->authority)
        return add_extension(c, &context, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") < 0 ||
                       add_extension(c, &context, NID_key_usage, "critical,keyCertSign,cRLSign") < 0
                   ? -1
                   : 0;
    if (add_extension(c, &context, NID_basic_constraints, "critical,CA:FALSE") < 0 ||
        add_extension(c, &context, NID_key_usage, "critical,digitalSignature") < 0 ||
        add_extension(c, &context, NID_ext_key_usage, r->hosts ? "serverAuth" : "clientAuth") < 0)
        return -1;
    return r->hosts ? add_hosts(c, r->hosts) : 0;
}

static int fill_certificate(X509 *c, const struct certificate_request *r, EVP_PKEY *key, X509 *issuer)
{
    time_t now = (time_t)(clock_realtime_us() / SECOND);

    if (!X509_set_version(c, X509_VERSION_3) || set_serial(c) < 0 || set_subject(c, r) < 0 ||
        !X509_set_pubkey(c, key) || !X509_set_issuer_name(c, X509_get_subject_name(issuer)))
        return -1;
    time_t from = now - BACKDATED, to = now + (time_t)r->seconds;
    if (!X509_time_adj_ex(X509_getm_notBefore(c), 0, 0, &from) || !X509_time_adj_ex(X509_getm_notAfter(c), 0, 0, &to))
        return -1;
    return add_extensions(c, r, issuer);
}

X509 *x509_issue(const struct certificate_request *request, EVP_PKEY *key, const struct issuer *issuer,
                 struct error **err)
{
    _cleanup_x509_ X509 *c = X509_new();

    if (c == NULL || fill_certificate(c, request, key, issuer ? issuer->certificate : c) < 0 ||
        !X509_sign(c, issuer ? issuer->key : key, EVP_sha256())) {
        x509_failed(err, "issue a certificate");
        return NULL;
    }
    return steal_ptr(c);
}

static char *take_bio_text(BIO *bio)
{
    char *p = NULL;
    long n = BIO_get_mem_data(bio, &p);
    char *out = n > 0 ? xstrndup(p, (size_t)n) : NULL;

    BIO_free(bio);
    return out;
}

static BIO *secure_bio(void)
{
    BIO *bio = BIO_new(BIO_s_secmem());
    if (bio == NULL)
        abort();
    return bio;
}

char *x509_certificate_pem(X509 *certificate)
{
    BIO *bio = secure_bio();

    if (!PEM_write_bio_X509(bio, certificate))
        abort();
    return take_bio_text(bio);
}

char *x509_key_pem(EVP_PKEY *key)
{
    BIO *bio = secure_bio();

    if (!PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL))
        abort();
    return take_bio_text(bio);
}

X509 *x509_parse_certificate(const char *pem)
{
    BIO *bio = BIO_new_mem_buf(pem, -1);
    X509 *c = bio ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;

    BIO_free(bio);
    ERR_clear_error();
    return c;
}

static int no_passphrase(char *buffer, int size, int writing, void *arg)
{
    return -1;
}

EVP_PKEY *x509_parse_key(const char *pem)
{
    BIO *bio = BIO_new_mem_buf(pem, -1);
    EVP_PKEY *key = bio ? PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL) : NULL;

    BIO_free(bio);
    ERR_clear_error();
    return key;
}

char *x509_serial(X509 *certificate)
{
    BIGNUM *n = ASN1_INTEGER_to_BN(X509_get0_serialNumber(certificate), NULL);
    char *hex = n ? BN_bn2hex(n) : NULL;
    if (hex == NULL)
        abort();
    const char *digits = hex;
    while (digits[0] == '0' && digits[1])
        digits++;
    char *out = xstrdup(digits);

    OPENSSL_free(hex);
    BN_free(n);
    return out;
}

static int64_t time_us(const ASN1_TIME *t)
{
    struct tm tm = {0};
    return ASN1_TIME_to_tm(t, &tm) ? (int64_t)timegm(&tm) * SECOND : 0;
}

int64_t x509_begins_us(X509 *certificate)
{
    return time_us(X509_get0_notBefore(certificate));
}

int64_t x509_expires_us(X509 *certificate)
{
    return time_us(X509_get0_notAfter(certificate));
}

bool x509_is_due(X509 *certificate, int64_t now_us)
{
    int64_t from = x509_begins_us(certificate), to = x509_expires_us(certificate);
    return now_us < from || to - now_us < (to - from) / 3;
}

bool x509_belongs(X509 *certificate, EVP_PKEY *key)
{
    bool belongs = X509_check_private_key(certificate, key) == 1;
    ERR_clear_error();
    return belongs;
}

bool x509_signed_by(X509 *certificate, X509 *authority)
{
    bool is = X509_check_issued(authority, certificate) == X509_V_OK &&
              X509_verify(certificate, X509_get0_pubkey(authority)) == 1;
    ERR_clear_error();
    return is;
}

/* A host in a form that is the same for every spelling of an address. */
static struct str host_key(const char *host, unsigned char address[16])
{
    size_t n = address_parse(host, address);
    return n ? (struct str){(const char *)address, n} : str_from(host);
}

static struct str name_key(GENERAL_NAME *name)
{
    int type;
    ASN1_STRING *s = GENERAL_NAME_get0_value(name, &type);

    if (type != GEN_DNS && type != GEN_IPADD)
        return (struct str){0};
    return (struct str){(const char *)ASN1_STRING_get0_data(s), (size_t)ASN1_STRING_length(s)};
}

bool x509_has_hosts(X509 *certificate, const char *const *hosts)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    struct map *wanted = map_new(), *had = map_new();
    unsigned char address[16];

    for (; *hosts; hosts++)
        map_set(wanted, host_key(*hosts, address), wanted);
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++)
        map_set(had, name_key(sk_GENERAL_NAME_value(names, i)), had);
    bool same = map_size(wanted) == map_size(had);
    struct str key;
    void *value;
    for (size_t i = 0; same && map_next(wanted, &i, &key, &value);)
        same = map_get(had, key) != NULL;
    map_free(wanted, NULL);
    map_free(had, NULL);
    GENERAL_NAMES_free(names);
    return same;
}
