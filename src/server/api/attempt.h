#pragma once

#include "server/api/write.h"

/*
 * One try of a write's transaction: objects, answer and warnings of its own, in an arena of its own. Thrown away where
 * the transaction is run again.
 */
struct attempt {
    const struct write *w;
    struct admission a; /* `object` is a copy of what was sent; NULL where that is a patch */
    struct field_findings findings;
    const char *name; /* of the object; of a collection one after the other */
    bool gone;        /* no finalizer held it */

    /* The answer. */
    unsigned code;
    char *json;
    size_t json_len;
    bool is_status; /* a metav1.Status, not an object */
};

struct attempt *attempt_new(const struct write *w);
void attempt_free(struct attempt *t); /* NULL allowed */

/* The present object into a.old; 404, or 403 where it is not the caller's. Borrowed from the transaction. */
int attempt_load_old(struct attempt *t, struct store_txn *txn, struct object **present, struct error **err)
    _must_check_;
int attempt_admit(struct attempt *t, struct store_txn *txn, struct error **err) _must_check_;
/* Stores a.object, or nothing on a dry run; it becomes the answer. */
int attempt_put(struct attempt *t, struct store_txn *txn, unsigned code, struct error **err) _must_check_;
/* The object goes for good: hook, DELETED event. Its final state becomes the answer. */
int attempt_remove(struct attempt *t, struct store_txn *txn, struct error **err) _must_check_;
void attempt_answer_bytes(struct attempt *t, unsigned code, struct str json);
