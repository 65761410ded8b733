#pragma once

#include "server/api/request.h"

/* One for each verb; each answers or defers. Routing, authorisation and negotiation are done. */
void verb_get(struct request *r);
void verb_list(struct request *r);
void verb_watch(struct request *r);
void verb_create(struct request *r);
void verb_update(struct request *r);
void verb_patch(struct request *r);
void verb_delete(struct request *r);
void verb_deletecollection(struct request *r);
/* A subresource of a kind's own. */
void verb_of_handler(struct request *r);
