#pragma once

#include <stdint.h>

#include "server/api/answer.h"
#include "server/api/options.h"
#include "server/api/pending.h"

/* An operation on its way through this room, in its arena. */

struct discovery;
struct openapi;
struct metrics;
struct watch_hub;

struct api {
    struct api_options options;
    struct api_resource *resources; /* a copy of the options' */
    size_t resources_len;
    const struct kind **kinds; /* of these, for the documents */
    struct discovery *discovery;
    struct openapi *openapi;
    struct metrics *metrics;
    struct watch_hub *watches;
    struct pending pending;
};

struct request {
    struct api *api;
    const struct operation *op;
    operation_done *done;
    void *done_arg;
    struct arena *arena;
    const struct api_resource *resource;       /* NULL: not a resource */
    const struct kind_subresource *own;        /* where the subresource is one of the kind's own … */
    const struct subresource_handler *handler; /* … and who answers it */
    const char *name;                          /* op->name; of a create, once it is known */
    enum verdict verdict;
    int64_t started_us;
    struct header *headers;
    size_t warnings; /* bytes of Warning headers so far */
};

struct request *request_new(struct api *a, const struct operation *op, operation_done *done, void *arg);

static inline const struct kind *request_kind(const struct request *r)
{
    return r->op->kind;
}
static inline const char *request_collection(const struct request *r)
{
    return r->op->kind->plural;
}

/* Answers beside those of answer.h; the request is gone afterwards. */
/* `json` came from malloc and is freed when sent. */
void request_reply_json(struct request *r, unsigned code, char *json, size_t n);
/* Takes the reference. */
void request_reply_object(struct request *r, unsigned code, struct object *o);
/* The bytes live as long as the server. */
void request_reply_constant(struct request *r, unsigned code, const char *media_type, struct str body);

/* How large the object may become that the caller writes, but for its status. */
size_t request_object_max(const struct request *r);
/* Administrators and the runner, for whom a share of everything is kept. */
bool request_is_reserved(const struct request *r);
struct flow_caller request_caller(const struct api *a, const struct identity *who);
