#pragma once

#include "server/api/body.h"

/*
 * A write on its way: read and checked on the event thread, prepared on a worker where a secret came with it (hooks.h),
 * applied in the writer's transaction, answered once that is on disk. All of it lies in the request's arena.
 */
struct write {
    struct admission a;
    struct api *api;
    struct request *r; /* NULL: the server's own */
    const struct api_resource *resource;
    const char *name;
    struct field_findings findings;
    yyjson_val *patch; /* NULL: a.object is what was sent */
    int (*apply)(struct write *w, struct store_txn *t, struct error **err);

    /* The answer, set by apply. */
    unsigned code;
    char *json;
    size_t json_len;
    bool is_status; /* a metav1.Status, not an object */
};

/* In the arena of the request. */
struct write *write_new(struct request *r, enum write_operation operation);
void write_init(struct write *w, struct request *r, enum write_operation operation); /* likewise in that arena */
/* Empty, freed with the request. */
yyjson_mut_doc *write_new_doc(struct write *w);
/* Takes what was sent as a mutable object: duplicates reported and gone. */
void write_take(struct write *w, yyjson_val *sent);
/* Secrets leave the object. */
int write_take_secrets(struct write *w, struct error **err) _must_check_;
/* Hands on to worker and writer. Whoever calls must not touch the request afterwards. */
void write_start(struct write *w);
/* The server's own create of `object`, all of it in the transaction. */
int write_create(struct write *w, struct store_txn *t, yyjson_val *object, struct error **err) _must_check_;

/* Inside apply. */
/* The present object into a.old; 404, or 403 where it is not the caller's. */
int write_load_old(struct write *w, struct store_txn *t, struct object **present, struct error **err) _must_check_;
int write_admit(struct write *w, struct store_txn *t, struct error **err) _must_check_;
/* Stores a.object, or nothing on a dry run; it becomes the answer. */
int write_put(struct write *w, struct store_txn *t, unsigned code, struct error **err) _must_check_;
/* The object goes for good: hook, DELETED event. Its final state becomes the answer. */
int write_remove(struct write *w, struct store_txn *t, struct error **err) _must_check_;
int write_forbidden(struct write *w, struct error **err);
/* The object to be is the caller's where it must be. */
int write_check_owner(struct write *w, struct error **err) _must_check_;
void write_answer_bytes(struct write *w, unsigned code, struct str json);
