#include "server/hooks/waiting_list.h"

#include <stdio.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "server/hooks/objects.h"

/* Secret scope: device → "SINCE POSITION RESOURCE"; SINCE alone where an older program wrote it, when there was a list
 * for ports alone. */
#define WAITING "port-waiting"
#define RESOURCE_OF_OLD "port"

/* Secret scope of one record: how many wait, and when the last of them came, so that who joins need not read them all. */
#define END "waiting-end"

struct list_end {
    uint64_t n;
    int64_t last_us;
};

struct reading {
    struct arena *arena;
    struct waiting_list *list;
    size_t room;
};

static uint64_t next_number(struct str *rest)
{
    struct str part;
    unsigned long long number;

    return str_split(rest, ' ', &part) && str_to_u64(part, INT64_MAX, &number) == 0 ? number : 0;
}

static struct waiting_device *one_more(struct reading *r)
{
    struct waiting_list *list = r->list;

    if (list->n == r->room) {
        struct waiting_device *larger = arena_alloc(r->arena, (2 * r->room + 16) * sizeof(*larger));
        if (list->n)
            memcpy(larger, list->first, list->n * sizeof(*larger));
        list->first = larger;
        r->room = 2 * r->room + 16;
    }
    return &list->first[list->n++];
}

static bool read_record(void *arg, struct str device, struct str value)
{
    struct reading *r = arg;
    struct waiting_device *w = one_more(r);

    w->device = arena_str(r->arena, device).p;
    w->since_us = (int64_t)next_number(&value);
    w->said = next_number(&value);
    w->resource = value.n ? arena_str(r->arena, value).p : RESOURCE_OF_OLD;
    return true;
}

static int by_arrival(const void *a, const void *b)
{
    const struct waiting_device *l = a, *r = b;
    return (l->since_us > r->since_us) - (l->since_us < r->since_us);
}

void waiting_list_read(struct store_txn *t, struct arena *arena, struct waiting_list *out)
{
    struct reading r = {.arena = arena, .list = out};

    *out = (struct waiting_list){0};
    txn_secret_list(t, WAITING, read_record, &r);
    if (out->n)
        qsort(out->first, out->n, sizeof(*out->first), by_arrival);
}

/* --- Its end --- */

static bool count_record(void *arg, struct str device, struct str value)
{
    struct list_end *end = arg;
    int64_t since_us = (int64_t)next_number(&value);

    end->n++;
    if (since_us > end->last_us)
        end->last_us = since_us;
    return true;
}

/* An older program kept no record of it. */
static struct list_end find_end(struct store_txn *t)
{
    struct str value = txn_secret(t, END, STR(""));
    struct list_end end = {0};

    if (value.p) {
        end.n = next_number(&value);
        end.last_us = (int64_t)next_number(&value);
    } else {
        txn_secret_list(t, WAITING, count_record, &end);
    }
    return end;
}

static void put_end(struct store_txn *t, struct list_end end)
{
    _cleanup_free_ char *value = xasprintf("%llu %lld", (unsigned long long)end.n, (long long)end.last_us);

    txn_secret_put(t, END, STR(""), str_from(value));
}

/* --- Saying it --- */

static void put_record(struct store_txn *t, const struct waiting_device *w)
{
    _cleanup_free_ char *value =
        xasprintf("%lld %llu %s", (long long)w->since_us, (unsigned long long)w->said, w->resource);
    txn_secret_put(t, WAITING, str_from(w->device), str_from(value));
}

static void write_queue(yyjson_mut_doc *doc, yyjson_mut_val *object, const struct waiting_device *w)
{
    yyjson_mut_val *queue = json_mut_make_obj(doc, object, "status.queue");
    char since[TIMESTAMP_SIZE];

    timestamp(since, w->since_us);
    json_mut_set_int(doc, queue, "position", (int64_t)w->said);
    json_mut_set_str(doc, queue, "waitingFor", w->resource);
    json_mut_set_str(doc, queue, "since", since);
}

static bool is_worth_saying(uint64_t said, uint64_t position)
{
    if (said <= position)
        return said < position;
    return position <= WAITING_EXACT || said - position >= said / 8;
}

static void say_position(struct store_txn *t, struct waiting_device *w, uint64_t position)
{
    _cleanup_json_mut_ yyjson_mut_doc *doc = object_read_mutable(t, PLURAL_DEVICES, w->device);

    w->said = position;
    put_record(t, w);
    if (doc == NULL)
        return;
    write_queue(doc, yyjson_mut_doc_get_root(doc), w);
    object_write(t, PLURAL_DEVICES, doc);
}

void waiting_list_write(struct store_txn *t, const struct waiting_list *list)
{
    struct list_end end = {0};

    for (size_t i = 0; i < list->n; i++) {
        struct waiting_device *w = &list->first[i];
        if (w->left) {
            txn_secret_delete(t, WAITING, str_from(w->device));
            continue;
        }
        end = (struct list_end){end.n + 1, w->since_us};
        if (is_worth_saying(w->said, end.n))
            say_position(t, w, end.n);
    }
    put_end(t, end);
}

/* --- Coming and going --- */

void waiting_list_join(struct admission *a, struct store_txn *t, const char *resource)
{
    struct list_end end = find_end(t);
    int64_t now = clock_realtime_us();
    struct waiting_device w = {.device = json_mut_str_at(a->object, "metadata.name"),
                               .resource = resource,
                               .since_us = now > end.last_us ? now : end.last_us + 1, /* whatever the clock does */
                               .said = end.n + 1};

    put_end(t, (struct list_end){w.said, w.since_us});
    put_record(t, &w);
    write_queue(a->doc, a->object, &w);
}

void waiting_list_leave(struct store_txn *t, const char *device)
{
    _cleanup_arena_ struct arena *arena = arena_new();
    struct waiting_list list;

    if (txn_secret(t, WAITING, str_from(device)).p == NULL)
        return;
    waiting_list_read(t, arena, &list);
    for (size_t i = 0; i < list.n; i++)
        list.first[i].left = streq(list.first[i].device, device);
    waiting_list_write(t, &list);
}
