#pragma once

#include <stdbool.h>

#include "kinds/kind.h"

/* Who is asking. The strings live as long as the exchange. */
struct identity {
    const char *name;        /* user name; "system:runner", "system:anonymous" */
    int role;                /* the authorizer's own numbering */
    const char *uid;         /* of the user object; NULL where there is none */
    const char *session;     /* an id of the session, no secret; NULL where there is none */
    const char *certificate; /* the serial number of the client certificate; NULL where there is none */
};

struct attributes {
    const char *verb; /* get list watch create update patch delete deletecollection */
    const struct kind
        *kind; /* NULL: not a resource (discovery, /metrics), verb get; health and /version are not asked about */
    const char *name;        /* NULL for collections; where kind is NULL: the path */
    const char *subresource; /* NULL: the main resource */
};

enum verdict {
    VERDICT_DENY,
    VERDICT_ALLOW,
    VERDICT_OWN, /* only objects whose owner path (kind.h) names the one who asks; lists and watches show those alone */
};
typedef enum verdict authorize_fn(const struct identity *who, const struct attributes *what);
