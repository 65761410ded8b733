#pragma once

#include "base/error.h"

/*
 * The installation's own certificates, in DATA/pki:
 *   ca.crt, ca.key          the authority
 *   server.crt, server.key  the gateway's leaf, renewed when a third is left or an address changes
 *   admins                  one line for each admin certificate that was issued: serial and expiry
 *   revoked                 one serial (hex) per line; a running server reads it again when it changes
 * All PEM; keys 0600, certificates 0644.
 */
struct pki_options {
    const char *directory;    /* DATA/pki */
    const char *const *hosts; /* names and addresses of the server leaf, NULL-terminated */
};
/* Makes what is missing or due. Returns 1 where the leaf changed (nginx must reload), 0 where not. */
int pki_ensure(const struct pki_options *options, struct error **err) _must_check_;
/* Issues an admin client certificate (CN open-hydra-admin, O system:masters) and writes a kubeconfig (0600) that embeds
 * it. */
int pki_write_kubeconfig(const struct pki_options *options, const char *server_url, const char *path,
                         struct error **err) _must_check_;
/* The same where it is missing, damaged, for another CA or URL, or its certificate is revoked or due. */
int pki_ensure_kubeconfig(const struct pki_options *options, const char *server_url, const char *path,
                          struct error **err) _must_check_;
/* kubeconfig --renew: the same as pki_write_kubeconfig, and every older admin certificate is revoked. */
int pki_renew_kubeconfig(const struct pki_options *options, const char *server_url, const char *path,
                         struct error **err) _must_check_;
