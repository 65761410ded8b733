/* Linked in with --wrap=store_submit: each transaction of the API is run twice, as with a database whose commit met that of
 * another server. What the first try staged is thrown away, and what the widget's hooks saw of it is forgotten; where
 * the hooks are the real ones there is no such memory. */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "unit/api/fixture.h"

#pragma weak seen

typedef void done_fn(void *arg, struct error *err);
void __real_store_submit(struct store *s, store_fn *fn, void *arg, done_fn *done);
void __wrap_store_submit(struct store *s, store_fn *fn, void *arg, done_fn *done);

struct twice {
    struct store *store;
    store_fn *fn;
    void *arg;
    done_fn *done;
};

/* What is seen in a transaction; `prepared` is counted on workers meanwhile. */
static void copy_tried(struct seen *to, const struct seen *from)
{
    to->admitted = from->admitted;
    to->removed = from->removed;
    to->operation = from->operation;
    to->dry_run = from->dry_run;
    to->had_old = from->had_old;
    memcpy(to->secret, from->secret, sizeof(to->secret));
}

static int try_first(struct store_txn *txn, void *arg, struct error **err)
{
    const struct twice *t = arg;
    struct seen *memory = &seen, before = {0};

    if (memory)
        copy_tried(&before, memory);
    int rc = t->fn(txn, t->arg, err);
    if (memory)
        copy_tried(memory, &before);
    txn_abandon(txn);
    return rc;
}

static void again(void *arg, struct error *err)
{
    struct twice t = *(struct twice *)arg;

    free(arg);
    error_free(err);
    __real_store_submit(t.store, t.fn, t.arg, t.done);
}

void __wrap_store_submit(struct store *s, store_fn *fn, void *arg, done_fn *done)
{
    struct twice *t = xmalloc(sizeof(*t));

    *t = (struct twice){s, fn, arg, done};
    __real_store_submit(s, try_first, t, again);
}
