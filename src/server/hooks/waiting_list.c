#include "server/hooks/waiting_list.h"

#include <stdio.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "server/hooks/objects.h"

/* Secret scope: device → "SINCE POSITION WHAT PRIORITY WANTED BEYOND"; SINCE alone where an older program wrote it, when
 * there was a list for ports alone, or the first three. */
#define WAITING "port-waiting"
#define WHAT_OF_OLD "port"

/* Secret scope, what → "N LAST LOWEST": how many wait for it, when the last of them came, and the lowest of their
 * priorities, so that who joins behind them need not read them all. */
#define END "waiting-end"

struct list_end {
    const char *what;
    uint64_t n;
    int64_t last_us, lowest;
};

struct reading {
    struct arena *arena;
    struct waiting_list *list;
    size_t room;
};

static int64_t next_number(struct str *rest, int64_t otherwise)
{
    struct str part;
    unsigned long long number;

    if (!str_split(rest, ' ', &part))
        return otherwise;
    bool negative = part.n && part.p[0] == '-';
    if (str_to_u64((struct str){part.p + negative, part.n - negative}, INT64_MAX, &number) < 0)
        return otherwise;
    return negative ? -(int64_t)number : (int64_t)number;
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

static struct waiting_device parse_record(struct arena *arena, struct str device, struct str value)
{
    struct waiting_device w = {.device = arena_str(arena, device).p, .what = WHAT_OF_OLD};
    struct str what;

    w.since_us = next_number(&value, 0);
    w.said = (uint64_t)next_number(&value, 0);
    if (str_split(&value, ' ', &what) && what.n)
        w.what = arena_str(arena, what).p;
    w.priority = next_number(&value, 0);
    w.wanted = (uint64_t)next_number(&value, 1);
    w.beyond = (uint64_t)next_number(&value, 0);
    return w;
}

static bool read_record(void *arg, struct str device, struct str value)
{
    struct reading *r = arg;

    *one_more(r) = parse_record(r->arena, device, value);
    return true;
}

static int by_order(const void *a, const void *b)
{
    const struct waiting_device *l = a, *r = b;

    if (l->priority != r->priority)
        return l->priority > r->priority ? -1 : 1;
    return (l->since_us > r->since_us) - (l->since_us < r->since_us);
}

void waiting_list_sort(struct waiting_list *list)
{
    if (list->n)
        qsort(list->first, list->n, sizeof(*list->first), by_order);
}

void waiting_list_read(struct store_txn *t, struct arena *arena, struct waiting_list *out)
{
    struct reading r = {.arena = arena, .list = out};

    *out = (struct waiting_list){0};
    txn_secret_list(t, WAITING, read_record, &r);
    waiting_list_sort(out);
}

bool waiting_list_has(struct store_txn *t, const char *device)
{
    return txn_secret(t, WAITING, str_from(device)).p != NULL;
}

/* --- Its ends --- */

static void count_device(struct list_end *end, const struct waiting_device *w)
{
    if (end->n == 0 || w->priority < end->lowest)
        end->lowest = w->priority;
    if (w->since_us > end->last_us)
        end->last_us = w->since_us;
    end->n++;
}

/* Where there is no record nobody waits for it, or an older program kept none. */
static struct list_end find_end(struct store_txn *t, struct arena *arena, const char *what)
{
    struct str value = txn_secret(t, END, str_from(what));
    struct list_end end = {.what = what};
    struct waiting_list list;

    if (value.p) {
        end.n = (uint64_t)next_number(&value, 0);
        end.last_us = next_number(&value, 0);
        end.lowest = next_number(&value, 0);
        return end;
    }
    waiting_list_read(t, arena, &list);
    for (size_t i = 0; i < list.n; i++)
        if (streq(list.first[i].what, what))
            count_device(&end, &list.first[i]);
    return end;
}

static void put_end(struct store_txn *t, const struct list_end *end)
{
    _cleanup_free_ char *value =
        xasprintf("%llu %lld %lld", (unsigned long long)end->n, (long long)end->last_us, (long long)end->lowest);

    if (end->n)
        txn_secret_put(t, END, str_from(end->what), str_from(value));
    else
        txn_secret_delete(t, END, str_from(end->what));
}

/* Of each thing that is waited for; in the arena. */
struct ends {
    struct list_end *first;
    size_t n;
};

static struct list_end *end_of(struct ends *ends, const char *what)
{
    for (size_t i = 0; i < ends->n; i++)
        if (streq(ends->first[i].what, what))
            return &ends->first[i];
    ends->first[ends->n].what = what;
    return &ends->first[ends->n++];
}

static bool collect_end(void *arg, struct str what, struct str value)
{
    struct reading *r = arg;

    one_more(r)->what = arena_str(r->arena, what).p;
    return true;
}

/* Room for what those of the list wait for, and all that has a record already. */
static struct ends read_ends(struct store_txn *t, struct arena *arena, const struct waiting_list *list)
{
    struct waiting_list known = {0};
    struct reading r = {.arena = arena, .list = &known};
    struct ends ends = {0};

    txn_secret_list(t, END, collect_end, &r);
    ends.first = arena_alloc(arena, (known.n + list->n + 1) * sizeof(*ends.first));
    for (size_t i = 0; i < known.n; i++)
        (void)end_of(&ends, known.first[i].what);
    return ends;
}

/* --- Saying it --- */

static void put_record(struct store_txn *t, const struct waiting_device *w)
{
    _cleanup_free_ char *value =
        xasprintf("%lld %llu %s %lld %llu %llu", (long long)w->since_us, (unsigned long long)w->said, w->what,
                  (long long)w->priority, (unsigned long long)w->wanted, (unsigned long long)w->beyond);
    txn_secret_put(t, WAITING, str_from(w->device), str_from(value));
}

static void write_queue(yyjson_mut_doc *doc, yyjson_mut_val *object, const struct waiting_device *w)
{
    yyjson_mut_val *queue = json_mut_make_obj(doc, object, "status.queue");
    char since[TIMESTAMP_SIZE];

    timestamp(since, w->since_us);
    json_mut_set_int(doc, queue, "position", (int64_t)w->said);
    json_mut_set_str(doc, queue, "waitingFor", w->what);
    json_mut_set_str(doc, queue, "since", since);
    json_mut_set_int(doc, queue, "wanted", (int64_t)w->wanted);
}

static bool is_worth_saying(uint64_t said, uint64_t position)
{
    if (said <= position)
        return said < position;
    return position <= WAITING_EXACT || said - position >= said / 8;
}

static void say_position(struct store_txn *t, const struct waiting_list *list, struct waiting_device *w,
                         uint64_t position)
{
    struct admission *a = list->current;

    w->said = position;
    put_record(t, w);
    if (a && streq(json_mut_str_at(a->object, "metadata.name"), w->device)) {
        write_queue(a->doc, a->object, w);
        return;
    }
    _cleanup_json_mut_ yyjson_mut_doc *doc = object_read_mutable(t, PLURAL_DEVICES, w->device);
    if (doc == NULL)
        return;
    write_queue(doc, yyjson_mut_doc_get_root(doc), w);
    object_write(t, PLURAL_DEVICES, doc);
}

void waiting_list_write(struct store_txn *t, struct arena *arena, const struct waiting_list *list)
{
    struct ends ends = read_ends(t, arena, list);

    for (size_t i = 0; i < list->n; i++) {
        struct waiting_device *w = &list->first[i];
        if (w->left) {
            txn_secret_delete(t, WAITING, str_from(w->device));
            continue;
        }
        struct list_end *end = end_of(&ends, w->what);
        count_device(end, w);
        if (is_worth_saying(w->said, end->n))
            say_position(t, list, w, end->n);
    }
    for (size_t i = 0; i < ends.n; i++)
        put_end(t, &ends.first[i]);
}

/* --- Coming --- */

/* Among those in front of whom it comes. */
static void join_within(struct admission *a, struct store_txn *t, struct arena *arena, const struct waiting_device *w)
{
    struct waiting_list list;

    put_record(t, w);
    waiting_list_read(t, arena, &list);
    list.current = a;
    waiting_list_write(t, arena, &list);
}

void waiting_list_join(struct admission *a, struct store_txn *t, struct waiting_device *w)
{
    _cleanup_arena_ struct arena *arena = arena_new();
    struct list_end end = find_end(t, arena, w->what);
    int64_t now = clock_realtime_us();
    bool is_last = end.n == 0 || w->priority <= end.lowest;

    w->device = json_mut_str_at(a->object, "metadata.name");
    w->since_us = now > end.last_us ? now : end.last_us + 1; /* whatever the clock does */
    w->said = is_last ? end.n + 1 : 0;
    if (!is_last) {
        join_within(a, t, arena, w);
        return;
    }
    count_device(&end, w);
    put_end(t, &end);
    put_record(t, w);
    write_queue(a->doc, a->object, w);
}

bool waiting_list_has_before(struct store_txn *t, const char *what, int64_t priority)
{
    _cleanup_arena_ struct arena *arena = arena_new();
    struct waiting_list list;

    if (find_end(t, arena, what).n == 0)
        return false;
    waiting_list_read(t, arena, &list);
    for (size_t i = 0; i < list.n; i++) {
        const struct waiting_device *w = &list.first[i];
        if (streq(w->what, what) && !w->beyond && w->priority >= priority)
            return true;
    }
    return false;
}
