#pragma once

#include <stdbool.h>

#include "base/arena.h"
#include "base/str.h"

/* What a certificate's subject says, in Kubernetes' reading: CN is the user's name, each O a group. */
struct subject {
    const char *common_name; /* NULL: none */
    const char **groups;     /* NULL-terminated, with room for one more */
    size_t groups_len;
    bool masters; /* O=system:masters: an administrator */
};

/* Reads a distinguished name as nginx passes it ($ssl_client_s_dn: RFC 2253 as OpenSSL writes it). The name is in the
 * arena. Returns 0, or -1 where it is none, or names two CNs. */
int subject_parse(struct arena *arena, struct str dn, struct subject *out);

/* A serial number in the one spelling that is compared: upper-case hex digits without leading zeros. NULL: it is none.
 */
const char *serial_normal(struct arena *arena, struct str hex);
