#pragma once

#include "pki/x509.h"

/* Within the room, for kubeconfig.c: the authority and the admin certificates. */

void issuer_clear(struct issuer *ca);
#define _cleanup_issuer_ _cleanup_(issuer_clear)

/* Opens the authority of that directory (makes it where there is none). Returns the directory's lock, which the caller
 * closes. */
int pki_open(const char *directory, struct issuer *ca, struct error **err) _must_check_;
/* Issues one and puts it on the list of those that can be revoked. */
X509 *pki_issue_admin(const char *directory, const struct issuer *ca, EVP_PKEY *key, struct error **err) _must_check_;
int pki_revoke_admins_but(const char *directory, X509 *spared, struct error **err) _must_check_;
bool pki_is_revoked(const char *directory, X509 *certificate);

/* What the clock says of an authority. */
enum authority_time { AUTHORITY_GOOD, AUTHORITY_EXPIRES_SOON, AUTHORITY_EXPIRED, AUTHORITY_NOT_YET };
enum authority_time pki_authority_time(int64_t begins_us, int64_t expires_us, int64_t now_us);
/* No clock of a machine that runs this is earlier: one that is has not been set yet. */
bool pki_clock_is_set(int64_t now_us);
