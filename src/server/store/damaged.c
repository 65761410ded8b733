#include "server/store/damaged.h"

#include <stdlib.h>

#include "base/alloc.h"

static void clear(struct damaged *d)
{
    free(d->collection);
    free(d->name);
    free(d->uid);
    free(d->why);
}

void damaged_free(struct damaged_list *l)
{
    for (size_t i = 0; i < l->n; i++)
        clear(&l->items[i]);
    free(l->items);
    *l = (struct damaged_list){0};
}

void damaged_add(struct damaged_list *l, const char *collection, const char *name, const char *uid, const char *why)
{
    l->items = xreallocarray(l->items, l->n + 1, sizeof(*l->items));
    l->items[l->n++] = (struct damaged){xstrdup(collection), xstrdup(name), xstrdup(uid), xstrdup(why)};
}

const struct damaged *damaged_find(const struct damaged_list *l, const char *collection, struct str name)
{
    for (size_t i = 0; i < l->n; i++)
        if (streq(l->items[i].collection, collection) && str_is(name, l->items[i].name))
            return &l->items[i];
    return NULL;
}

void damaged_forget(struct damaged_list *l, const char *collection, const char *name)
{
    size_t kept = 0;

    for (size_t i = 0; i < l->n; i++) {
        if (streq(l->items[i].collection, collection) && streq(l->items[i].name, name))
            clear(&l->items[i]);
        else
            l->items[kept++] = l->items[i];
    }
    l->n = kept;
}

size_t damaged_count(const struct damaged_list *l, const char *collection)
{
    size_t n = 0;

    for (size_t i = 0; i < l->n; i++)
        n += collection == NULL || streq(l->items[i].collection, collection);
    return n;
}
