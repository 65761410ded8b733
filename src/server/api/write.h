#pragma once

#include "server/api/findings.h"
#include "server/api/request.h"
#include "server/model/patch.h"

/*
 * A write on its way: read and checked on the event thread, prepared on a worker where a secret came with it (hooks.h),
 * applied in the writer's transaction, answered once that is on disk. What is asked for lies in struct write, which a
 * transaction only reads: it may be thrown away and run again, and each try makes an attempt (attempt.h) of its own. All
 * of it lies in the request's arena.
 */
struct attempt;

struct write {
    struct admission a; /* as an attempt begins: `object` is what was sent, NULL where that is a patch */
    struct api *api;
    struct request *r; /* NULL: the server's own */
    const struct api_resource *resource;
    const char *name; /* NULL: the collection */
    struct field_findings findings;
    const struct patch_type *patch_type; /* NULL: no patch */
    yyjson_val *patch;
    int (*apply)(struct attempt *t, struct store_txn *txn, struct error **err);
    struct attempt *attempt; /* the last one */
};

/* In the arena of the request. */
struct write *write_new(struct request *r, enum write_operation operation);
void write_init(struct write *w, struct request *r, enum write_operation operation); /* likewise in that arena */
/* Whether the caller reaches own objects alone. */
bool write_only_own(const struct write *w);
/* The object to be is the caller's where it must be. */
int write_check_owner(const struct write *w, yyjson_mut_val *object, struct error **err) _must_check_;
