#pragma once

#include <pthread.h>

#include "base/map.h"
#include "server/store/damaged.h"
#include "server/store/log.h"

/*
 * Everything that readers see. Only the writer thread changes it, with the write lock held as briefly as it takes to
 * swap pointers; so the writer itself reads without a lock. Writers are preferred: no stream of readers starves them,
 * and no reader may take the lock twice.
 */
struct collection {
    char *name;
    struct object **items; /* by name, in byte order */
    size_t n;
    struct log_track track;
};

struct secret {
    size_t n;
    char bytes[];
};

struct scope {
    char *name;
    struct map *records; /* of struct secret */
};

struct cache {
    pthread_rwlock_t lock;
    struct collection **collections; /* few */
    size_t collections_len;
    struct scope **scopes; /* few */
    size_t scopes_len;
    struct event_log log;
    struct damaged_list damaged;
    uint64_t revision;
};

void cache_init(struct cache *c);
void cache_free(struct cache *c);
struct collection *cache_collection(const struct cache *c, const char *name); /* NULL: never had an object */
struct collection *cache_make_collection(struct cache *c, const char *name);  /* by the writer alone */
struct scope *cache_scope(const struct cache *c, const char *name);
struct scope *cache_make_scope(struct cache *c, const char *name);
void scope_set(struct scope *s, struct str key, struct str value); /* value.p NULL: removes */

/* Position of the first object whose name is not below (after: is above) `name`. */
size_t collection_find(const struct collection *c, struct str name, bool after);
struct object *collection_get(const struct collection *c, struct str name); /* borrowed */
int object_name_compare(const struct object *o, struct str name);

/* What changes in one collection: by name, each name once. */
struct change {
    struct object *object; /* taken over; NULL: gone */
    struct str name;
};
/* The array after those changes; references move into it as they are. *dropped gets the objects that lost their place
 * (as many as there are changes), *n the new length. Needs no lock: nothing of `c` is touched. */
struct object **collection_merge(const struct collection *c, const struct change *changes, size_t changes_len,
                                 struct object **dropped, size_t *n);
/* At load: append anywhere, then sort once. Returns false where a name is there twice. */
void collection_append(struct collection *c, struct object *o);
bool collection_sort(struct collection *c);
