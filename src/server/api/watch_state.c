#include "server/api/watch_state.h"

#include <stdlib.h>

#include "base/alloc.h"

#define PART 32

struct watch_state {
    struct object *objects[PART];
    size_t n, at;
    bool loaded, more;
    char *start;       /* this part has the names after this one … */
    char *end;         /* … up to and with this one; NULL: it is the last part, it has all the rest */
    uint64_t revision; /* of this part */
};

struct watch_state *watch_state_new(void)
{
    struct watch_state *s = xcalloc(1, sizeof(*s));
    s->start = xstrdup("");
    return s;
}

void watch_state_free(struct watch_state *s)
{
    if (s == NULL)
        return;
    for (size_t i = s->at; i < s->n; i++)
        object_unref(s->objects[i]);
    free(s->start);
    free(s->end);
    free(s);
}

static bool take_present(void *arg, struct object *o)
{
    struct watch_state *s = arg;

    s->more = s->n == PART;
    if (!s->more)
        s->objects[s->n++] = object_ref(o);
    return !s->more;
}

void watch_state_load(struct watch_state *s, struct store *store, const char *collection, uint64_t *position)
{
    if (s->end) {
        free(s->start);
        s->start = steal_ptr(s->end);
    }
    s->n = s->at = 0;
    s->more = false;
    s->revision = store_list(store, collection, str_from(s->start), take_present, s);
    if (s->more)
        s->end = xstrdup(s->objects[PART - 1]->name);
    if (!s->loaded)
        *position = s->revision;
    s->loaded = true;
}

struct object *watch_state_next(struct watch_state *s)
{
    return s->at < s->n ? s->objects[s->at++] : NULL;
}

bool watch_state_is_last(const struct watch_state *s)
{
    return s->end == NULL;
}

bool watch_state_passes(const struct watch_state *s, const struct event *e)
{
    const char *name = e->object->name;

    if (strcmp(name, s->start) <= 0)
        return true; /* of an earlier part */
    return e->revision > s->revision && (s->end == NULL || strcmp(name, s->end) <= 0);
}
