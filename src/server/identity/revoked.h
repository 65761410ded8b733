#pragma once

#include <stdbool.h>
#include <stdint.h>

/* The serials in DATA/pki/revoked, read again when the file changes (`kubeconfig --renew` is another process). */
struct revoked;
/* The file is looked at this often, not at each question: that would be a tenth of what a GET costs. */
struct revoked *revoked_new(const char *path, int64_t look_every_us);
void revoked_free(struct revoked *r);
/* `serial` in its normal form (serial_normal). A file that is there and can't be read: everything counts as revoked. */
bool revoked_has(struct revoked *r, const char *serial);
