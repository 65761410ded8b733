#pragma once

#include <openssl/evp.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

/* What tus 1.0 (https://tus.io/protocols/resumable-upload) says in headers. Texts NULL: they were not sent. Errors name the
 * header. */
#define TUS_METADATA_MAX 4096

/* Upload-Length, Upload-Offset. */
int tus_number(const char *text, const char *header, uint64_t *out, struct error **err) _must_check_;

/* «filename d29ybGQ=,description …»: the caller frees; NULL: it is not said. A plain text of lines, or refused. */
int tus_metadata(const char *text, const char *wanted, char **out, struct error **err) _must_check_;

/* «sha256 d29ybGQ=» */
struct tus_checksum {
    const EVP_MD *digest; /* NULL: none was sent */
    unsigned char sum[EVP_MAX_MD_SIZE];
    size_t n; /* of what was sent, which may be no such sum */
};
#define TUS_CHECKSUMS "sha1,sha256,sha512"
int tus_checksum(const char *text, struct tus_checksum *out, struct error **err) _must_check_;
