/* Linked in with --wrap=store_submit: each transaction of the API is run twice, as with a database whose commit met that of
 * another server. What the first try staged is thrown away, and what the widget's hooks saw of it is forgotten; where
 * the hooks are the real ones there is no such memory. */
#include <stdlib.h>

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

static int try_first(struct store_txn *txn, void *arg, struct error **err)
{
    const struct twice *t = arg;
    struct seen *memory = &seen, before = {0};

    if (memory)
        before = *memory;
    int rc = t->fn(txn, t->arg, err);
    if (memory)
        *memory = before;
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
