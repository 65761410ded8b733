#pragma once

#include "server/api/options.h"

/*
 * The Kubernetes API conventions over a store, for any kinds: discovery, OpenAPI, schemas, tables, selectors, verbs,
 * watches. It knows none of ours: what a definition (kind.h) cannot say comes in as hooks.
 */
struct api;
struct api *api_new(const struct api_options *options, struct error **err) _must_check_;
/* After the HTTP servers have stopped, before the store closes: waits for the writes that are still in its queue. */
void api_free(struct api *a);

/* Does what the operation says, as far as who asks may, and tells `done` what came of it. From an event thread or a
 * worker; `op` lives as long as its arena. */
void api_call(struct api *a, const struct operation *op, operation_done *done, void *arg);

/* What the operation has come to before anybody was let in: counted like the others. Takes the error. */
void api_refuse(struct api *a, const struct operation *op, struct error *err, operation_done *done, void *arg);

/* As whom the flow counts a caller. */
struct flow_caller api_caller(const struct api *a, const struct identity *who);
const struct api_resource *api_resources(const struct api *a, size_t *n);

/* For the server itself (shipped objects at first start, the set-up of the first administrator): the create verb with
 * defaulting, validation, hooks and all, as `who`, inside a transaction that the caller is in. */
int api_create_in_txn(struct api *a, struct store_txn *t, const struct kind *kind, yyjson_val *object,
                      const struct identity *who, struct error **err) _must_check_;
