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

/* The server's own create, all of it in a transaction that the caller is in; the request is answered to nobody. */
int create_in_txn(struct request *r, struct store_txn *txn, yyjson_val *object, struct error **err) _must_check_;
