#include "server/store/object.h"

#include <stdlib.h>

#include "base/alloc.h"

static char *append(char **at, struct str s)
{
    char *p = *at;
    if (s.n)
        memcpy(p, s.p, s.n);
    p[s.n] = '\0';
    *at += s.n + 1;
    return p;
}

struct object *object_new(uint64_t revision, struct str name, struct str uid, struct str json)
{
    struct object *o = xmalloc(sizeof(*o) + json.n + name.n + uid.n + 3);
    char *at = (char *)(o + 1);

    atomic_init(&o->references, 1);
    o->revision = revision;
    o->json = (struct str){append(&at, json), json.n};
    o->name = append(&at, name);
    o->uid = append(&at, uid);
    return o;
}

struct object *object_ref(struct object *o)
{
    atomic_fetch_add_explicit(&o->references, 1, memory_order_relaxed);
    return o;
}

void object_unref(struct object *o)
{
    if (o && atomic_fetch_sub_explicit(&o->references, 1, memory_order_acq_rel) == 1)
        free(o);
}
