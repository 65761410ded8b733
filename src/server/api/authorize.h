#pragma once

#include <stdbool.h>

#include "kinds/kind.h"

/* Who is asking. The strings live as long as the operation. What may be done is decided by `role`; the last three are told
 * to others (audit, reviews). */
struct identity {
    const char *name;          /* user name; "system:runner", "system:anonymous" */
    int role;                  /* the authorizer's own numbering */
    const char *uid;           /* of the user object; NULL where there is none */
    const char *session;       /* an id of the session, no secret; NULL where there is none */
    const char *certificate;   /* the serial number of the client certificate; NULL where there is none */
    const char *const *groups; /* NULL-terminated, as Kubernetes names them (system:authenticated …); NULL: none said */
    const char *method;        /* the provider that told (server/identity/provider.h); NULL: nobody asked */
    const char *address;       /* where it came from, as nginx says; "" on sockets of ours; NULL: no request */
};

struct attributes {
    const char *verb; /* get list watch create update patch delete deletecollection */
    /* NULL: not a resource (discovery, /metrics), verb get; health and /version are not asked about. */
    const struct kind *kind;
    const char *name;        /* NULL for collections; where kind is NULL: the path */
    const char *subresource; /* NULL: the main resource */
};

enum verdict {
    VERDICT_DENY,
    VERDICT_ALLOW,
    VERDICT_OWN, /* only objects whose owner path (kind.h) names the one who asks; lists and watches show those alone */
};
typedef enum verdict authorize_fn(const struct identity *who, const struct attributes *what);
