#pragma once

#include <stdbool.h>

/* The serials in DATA/pki/revoked, read again when the file changes (`kubeconfig --renew` is another process). */
struct revoked;
struct revoked *revoked_new(const char *path);
void revoked_free(struct revoked *r);
/* `serial` in its normal form (serial_normal). A file that is there and can't be read: everything counts as revoked. */
bool revoked_has(struct revoked *r, const char *serial);
