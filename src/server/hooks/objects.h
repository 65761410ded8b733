#pragma once

#include "server/hooks/context.h"

/* Other objects, from inside a hook's transaction. Each read or write parses or serialises once. */

/* The object as an immutable document, or NULL. */
yyjson_doc *object_read(struct store_txn *t, const char *collection, const char *name);
/* Stamps the next revision and stages the object. */
void object_write(struct store_txn *t, const char *collection, yyjson_mut_doc *doc);
/* Asks for the deletion of an object that has finalizers; nothing where that has been asked already. */
void object_ask_deletion(struct store_txn *t, const char *collection, const char *name);
/* Removes the object now. */
void object_remove(struct store_txn *t, const char *collection, const char *name);
