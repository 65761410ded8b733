#pragma once

#include "server/hooks/context.h"

/* Other objects, from inside a hook's transaction. Each read or write parses or serialises once. */

/* The object as an immutable document, or NULL. */
yyjson_doc *object_read(struct store_txn *t, const char *collection, const char *name);
/* Stamps the next revision and stages the object. */
void object_write(struct store_txn *t, const char *collection, yyjson_mut_doc *doc);
/* The same to be changed, or NULL. */
yyjson_mut_doc *object_read_mutable(struct store_txn *t, const char *collection, const char *name);
/* Removes the object now. */
void object_remove(struct store_txn *t, const char *collection, const char *name);

/* Ours beside those of others, which are kept. */
void finalizer_add(yyjson_mut_doc *doc, yyjson_mut_val *object, const char *name);
/* Returns whether it was there. */
bool finalizer_remove(yyjson_mut_val *object, const char *name);
