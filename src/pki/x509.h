#pragma once

#include <openssl/evp.h>
#include <openssl/x509.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/secret.h"

/* Keys and certificates over OpenSSL: ECDSA P-256 with SHA-256, in PEM. Files and policy are pki.c's. */

static inline void cleanup_keyp(EVP_PKEY **k)
{
    EVP_PKEY_free(*k);
}
static inline void cleanup_x509p(X509 **c)
{
    X509_free(*c);
}
#define _cleanup_key_ _cleanup_(cleanup_keyp)
#define _cleanup_x509_ _cleanup_(cleanup_x509p)

struct issuer {
    X509 *certificate;
    EVP_PKEY *key;
};

struct certificate_request {
    const char *common_name, *organization; /* organization: NULL for none */
    const char *const *hosts;               /* of a server: its names and addresses; NULL for a client */
    bool authority;
    int64_t seconds; /* of life */
};

EVP_PKEY *x509_make_key(struct error **err) _must_check_;
/* Issues a certificate for `key`; without an issuer it signs itself. */
X509 *x509_issue(const struct certificate_request *request, EVP_PKEY *key, const struct issuer *issuer,
                 struct error **err) _must_check_;

/* PEM text; the caller frees (a key's with secret_free, which wipes it). */
char *x509_certificate_pem(X509 *certificate);
char *x509_key_pem(EVP_PKEY *key);
/* NULL where the text is none. */
X509 *x509_parse_certificate(const char *pem);
EVP_PKEY *x509_parse_key(const char *pem);

char *x509_serial(X509 *certificate);      /* upper-case hex; the caller frees */
int64_t x509_begins_us(X509 *certificate); /* clock_realtime_us */
int64_t x509_expires_us(X509 *certificate);
/* Less than a third of its life is left (or it is not valid yet). */
bool x509_is_due(X509 *certificate, int64_t now_us);
bool x509_belongs(X509 *certificate, EVP_PKEY *key);
/* Signed by that authority, and for exactly those hosts (a server's). */
bool x509_signed_by(X509 *certificate, X509 *authority);
bool x509_has_hosts(X509 *certificate, const char *const *hosts);
