#pragma once

#include "server/api/request.h"

/* The parameters resourceVersion and resourceVersionMatch (Kubernetes: «API concepts», Resource versions). */
enum revision_match { MATCH_UNSET, MATCH_EXACT, MATCH_NOT_OLDER };

struct revision_query {
    bool given;        /* not absent, not "" */
    uint64_t revision; /* 0: any state will do */
    enum revision_match match;
};
/* A malformed one is 400; a future one 504 («Too large resource version»), since no state is that new yet. */
int revision_query(struct request *r, struct revision_query *out, struct error **err) _must_check_;
/* 410 where the log no longer reaches back to `revision`; otherwise whether anything in the collection changed since.
 */
int revision_changed(struct request *r, uint64_t revision, bool *changed, struct error **err) _must_check_;
