#pragma once

#include <stddef.h>
#include <stdint.h>

/* From the kernel's generator; aborts where there is none. */
void random_bytes(void *out, size_t n);
#define UUID_SIZE 37
/* Version 4, RFC 9562. */
void random_uuid(char out[static UUID_SIZE]);
/* n bytes as unpadded base64url (RFC 4648 §5); the caller frees. */
char *random_token(size_t n);
