#include "server/gateway/port_index.h"

#include <pthread.h>
#include <stdatomic.h>

#include "base/alloc.h"
#include "base/map.h"
#include "kinds/names.h"

#define BATCH 64

struct entry {
    char *name, *uid, *owner, *sandbox;
    enum phase phase;
    bool deleting;
    size_t ports_len;
    struct entry_port {
        uint16_t port;
        char *endpoint;
        struct entry *of;
    } ports[];
};

struct port_index {
    pthread_rwlock_t lock;
    struct store *store;
    /* The store's revision when the log was last looked at. A watch would tell us a moment too late. */
    atomic_uint_least64_t seen;
    bool built;
    uint64_t revision;
    uint16_t first, last;
    struct entry_port **by_port; /* borrowed from by_name */
    struct map *by_name;
};

struct port_index *port_index_new(struct store *store, uint16_t first, uint16_t last)
{
    struct port_index *index = xcalloc(1, sizeof(*index));

    pthread_rwlock_init(&index->lock, NULL);
    index->store = store;
    index->first = first;
    index->last = last;
    index->by_port = xcalloc((size_t)(last - first) + 1, sizeof(struct entry_port *));
    index->by_name = map_new();
    atomic_init(&index->seen, UINT64_MAX);
    return index;
}

static void entry_free(void *p)
{
    struct entry *e = p;

    if (e == NULL)
        return;
    free(e->name);
    free(e->uid);
    free(e->owner);
    free(e->sandbox);
    for (size_t i = 0; i < e->ports_len; i++)
        free(e->ports[i].endpoint);
    free(e);
}

void port_index_free(struct port_index *index)
{
    if (index == NULL)
        return;
    map_free(index->by_name, entry_free);
    free(index->by_port);
    pthread_rwlock_destroy(&index->lock);
    free(index);
}

static struct entry_port **slot_of_port(struct port_index *index, uint16_t port)
{
    return port >= index->first && port <= index->last ? &index->by_port[port - index->first] : NULL;
}

static void forget_device(struct port_index *index, struct str name)
{
    struct entry *e = map_remove(index->by_name, name);

    for (size_t i = 0; e && i < e->ports_len; i++) {
        struct entry_port **at = slot_of_port(index, e->ports[i].port);
        if (at && *at == &e->ports[i]) /* it may be another's by now */
            *at = NULL;
    }
    entry_free(e);
}

static struct entry *entry_new(const struct object *o)
{
    struct device d;
    struct device_port ports[DEVICE_PORTS_MAX];
    _cleanup_json_ yyjson_doc *doc = json_parse(o->json, NULL);

    if (doc == NULL)
        return NULL;
    device_read(yyjson_doc_get_root(doc), &d);
    size_t n = device_ports(&d, ports);
    struct entry *e = xcalloc(1, sizeof(*e) + n * sizeof(e->ports[0]));
    *e = (struct entry){xstrdup(o->name),
                        xstrdup(o->uid),
                        xstrdup_or_null(d.owner),
                        xstrdup_or_null(d.sandbox),
                        d.phase,
                        d.deleting,
                        n};
    for (size_t i = 0; i < n; i++)
        e->ports[i] = (struct entry_port){ports[i].port, xstrdup_or_null(ports[i].endpoint), e};
    return e;
}

static void learn_device(struct port_index *index, const struct object *o)
{
    struct entry *e = entry_new(o);

    forget_device(index, str_from(o->name));
    if (e == NULL)
        return;
    map_set(index->by_name, str_from(o->name), e);
    for (size_t i = 0; i < e->ports_len; i++) {
        struct entry_port **at = slot_of_port(index, e->ports[i].port);
        if (at)
            *at = &e->ports[i];
    }
}

static bool learn_each(void *arg, struct object *o)
{
    learn_device(arg, o);
    return true;
}

static void rebuild(struct port_index *index)
{
    map_free(index->by_name, entry_free);
    index->by_name = map_new();
    memset(index->by_port, 0, ((size_t)(index->last - index->first) + 1) * sizeof(struct entry_port *));
    index->revision = store_list(index->store, PLURAL_DEVICES, STR(""), learn_each, index);
    index->built = true;
}

/* Returns how many events there were, or -1 where the log reaches back no longer. */
static int follow_some(struct port_index *index)
{
    struct event events[BATCH];
    _cleanup_error_ struct error *err = NULL;
    uint64_t reached = index->revision;
    int n = store_events(index->store, PLURAL_DEVICES, index->revision, events, BATCH, &reached, &err);

    for (int i = 0; i < n; i++) {
        if (events[i].type == EVENT_DELETED)
            forget_device(index, str_from(events[i].object->name));
        else
            learn_device(index, events[i].object);
        event_release(&events[i]);
    }
    if (n >= 0)
        index->revision = reached;
    return n;
}

static void catch_up(struct port_index *index)
{
    int n;

    pthread_rwlock_wrlock(&index->lock);
    uint64_t now = store_revision(index->store);
    if (atomic_load(&index->seen) != now) {
        do
            n = index->built ? follow_some(index) : -1;
        while (n == BATCH);
        if (n < 0)
            rebuild(index);
        atomic_store(&index->seen, now);
    }
    pthread_rwlock_unlock(&index->lock);
}

static const char *in_arena(struct arena *arena, const char *s)
{
    return s ? arena_strdup(arena, s) : NULL;
}

bool port_index_find(struct port_index *index, uint16_t port, struct arena *arena, struct port_device *out)
{
    if (atomic_load(&index->seen) != store_revision(index->store))
        catch_up(index);
    pthread_rwlock_rdlock(&index->lock);
    struct entry_port **at = slot_of_port(index, port);
    const struct entry *e = at && *at ? (*at)->of : NULL;
    if (e)
        *out = (struct port_device){in_arena(arena, e->name),
                                    in_arena(arena, e->uid),
                                    in_arena(arena, e->owner),
                                    in_arena(arena, e->sandbox),
                                    in_arena(arena, (*at)->endpoint),
                                    e->phase,
                                    e->deleting};
    pthread_rwlock_unlock(&index->lock);
    return e != NULL;
}
