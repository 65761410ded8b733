#include <stdlib.h>

#include "base/alloc.h"
#include "server/api/continue.h"
#include "server/api/filter.h"
#include "server/api/represent.h"
#include "server/api/revision.h"
#include "server/api/verbs.h"

/* Bytes around the objects, about. */
#define LIST_FRAME 1024

struct list {
    struct request *r;
    struct filter filter;
    struct table table;
    size_t limit;          /* 0: none */
    char *after;           /* where this page starts */
    bool direct;           /* nothing needs parsing: bytes are copied under the store's lock */
    struct object **found; /* otherwise: references to all from `after` on */
    size_t found_len, found_capacity;
    struct buffer out;
    size_t shown;
    char *last;  /* name of the last object shown; NULL: none */
    size_t left; /* objects after the last one shown, where they were counted */
    uint64_t revision;
};

/* The reply ends with its metadata, since the revision is known once the objects are. */
static void open_list(struct list *l)
{
    const struct kind *k = l->r->op->kind;

    if (l->r->op->representation == REPRESENT_TABLE)
        table_open(&l->table, &l->out);
    else if (l->r->op->representation == REPRESENT_METADATA)
        buffer_puts(&l->out, "{\"kind\":\"PartialObjectMetadataList\",\"apiVersion\":\"meta.k8s.io/v1\",\"items\":[");
    else
        buffer_printf(&l->out, "{\"kind\":\"%s\",\"apiVersion\":\"%s\",\"items\":[", k->list_kind, k->api_version);
}

static void close_list(struct list *l)
{
    bool more = l->left > 0;
    /* Kubernetes: not said where selectors are in use, since it would take a walk to know. */
    bool counted = more && filter_is_open(&l->filter);
    _cleanup_free_ char *token = more ? continue_encode(l->revision, l->last) : NULL;

    if (l->r->op->representation == REPRESENT_TABLE) {
        table_close(&l->table, &l->out, l->revision, token, counted ? (int64_t)l->left : -1);
        return;
    }
    buffer_printf(&l->out, "],\"metadata\":{\"resourceVersion\":\"%llu\"", (unsigned long long)l->revision);
    if (token)
        buffer_printf(&l->out, ",\"continue\":\"%s\"", token);
    if (counted)
        buffer_printf(&l->out, ",\"remainingItemCount\":%zu", l->left);
    buffer_puts(&l->out, "}}\n");
}

static void list_show(struct list *l, struct object *o)
{
    _cleanup_json_ yyjson_doc *doc = NULL;

    if (l->r->op->representation == REPRESENT_TABLE) {
        doc = json_parse(o->json, NULL);
        table_row(&l->table, &l->out, yyjson_doc_get_root(doc), o->json);
    } else {
        if (l->shown)
            buffer_append(&l->out, ",", 1);
        if (l->r->op->representation == REPRESENT_METADATA)
            doc = json_parse(o->json, NULL);
        represent_object(l->r->op->representation, &l->table, &l->out, doc ? yyjson_doc_get_root(doc) : NULL, o->json,
                         false);
    }
    l->shown++;
    if (l->limit && l->shown == l->limit)
        l->last = arena_strdup(l->r->arena, o->name);
}

static bool is_full(const struct list *l)
{
    return l->limit && l->shown >= l->limit;
}

static bool show_direct(void *arg, struct object *o)
{
    struct list *l = arg;

    if (is_full(l))
        l->left++;
    else
        list_show(l, o);
    return true;
}

struct room {
    size_t bytes, objects, limit;
};

static bool measure_object(void *arg, struct object *o)
{
    struct room *room = arg;

    if (room->limit && room->objects == room->limit)
        return false;
    room->objects++;
    room->bytes += o->json.n + 1;
    return true;
}

/* For all of the reply, if nothing changes meanwhile. */
static void make_room(struct list *l, const char *collection)
{
    struct room room = {.bytes = LIST_FRAME, .limit = l->limit};

    store_list(l->r->api->options.store, collection, str_from(l->after), measure_object, &room);
    buffer_reserve(&l->out, room.bytes);
}

static bool list_reference(void *arg, struct object *o)
{
    struct list *l = arg;

    if (l->found_len == l->found_capacity) {
        l->found_capacity = l->found_capacity ? 2 * l->found_capacity : 64;
        l->found = xreallocarray(l->found, l->found_capacity, sizeof(struct object *));
    }
    l->found[l->found_len++] = object_ref(o);
    return true;
}

static void show_found(struct list *l)
{
    for (size_t i = 0; i < l->found_len; i++) {
        struct object *o = l->found[i];
        if (filter_matches(&l->filter, o)) {
            if (is_full(l))
                l->left++;
            else
                list_show(l, o);
        }
        object_unref(o);
    }
    free(l->found);
}

/* A field selector names the one object that can be meant. */
static void reference_one(struct list *l, const char *name)
{
    struct store *s = l->r->api->options.store;

    /* The revision first: what is then found may be newer, and a watch from there shows its change again, but loses
     * none. */
    l->revision = store_revision(s);
    _cleanup_object_ struct object *o = store_get(s, request_collection(l->r), str_from(name));
    if (o && strcmp(name, l->after) > 0)
        list_reference(l, o);
}

static void list_walk(struct list *l)
{
    struct store *s = l->r->api->options.store;
    const char *collection = request_collection(l->r);
    const char *name = field_selector_name(l->filter.fields);
    uint64_t first_page = l->revision;

    l->direct = filter_is_open(&l->filter) && l->r->op->representation == REPRESENT_OBJECT;
    if (l->direct)
        make_room(l, collection);
    open_list(l);
    if (l->direct) {
        l->revision = store_list(s, collection, str_from(l->after), show_direct, l);
    } else {
        if (name)
            reference_one(l, name);
        else
            l->revision = store_list(s, collection, str_from(l->after), list_reference, l);
        show_found(l);
    }
    /* Later pages may show later states, but the list stands for its first page's revision: a watch from there brings
     * whoever reads it up to date. */
    if (first_page)
        l->revision = first_page;
    close_list(l);
}

static int check_token(struct list *l, const struct revision_query *q, const char *token, struct error **err)
{
    _cleanup_free_ char *after = NULL;
    bool changed;

    if (q->revision || q->match != MATCH_UNSET)
        return error_set(err, REASON_BAD_REQUEST, "specifying resource version is not allowed when using continue");
    if (continue_decode(token, &l->revision, &after, err) < 0)
        return -1;
    l->after = arena_strdup(l->r->arena, after);
    if (revision_changed(l->r, l->revision, &changed, err) == 0)
        return 0;
    if (*err && (*err)->reason == REASON_EXPIRED)
        return error_set(
            err, REASON_EXPIRED,
            "The provided continue parameter is too old to display a consistent list result. You must start a "
            "new list without the continue parameter.");
    return -1;
}

/* The table of «resourceVersion and resourceVersionMatch» for lists. */
static int check_revision(struct list *l, struct error **err)
{
    struct revision_query q;
    bool changed = false;
    const char *token = operation_parameter(l->r->op, "continue");

    if (revision_query(l->r, &q, err) < 0)
        return -1;
    if (token && token[0])
        return check_token(l, &q, token, err);
    if (q.match != MATCH_UNSET && !q.given)
        return error_set(
            err, REASON_BAD_REQUEST,
            "resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided");
    if (q.match != MATCH_EXACT)
        return 0;
    if (q.revision == 0)
        return error_set(
            err, REASON_BAD_REQUEST,
            "resourceVersionMatch: Forbidden: resourceVersionMatch \"Exact\" is forbidden for resourceVersion \"0\"");
    /* The past itself is not kept: where nothing changed since, it is the present. */
    if (revision_changed(l->r, q.revision, &changed, err) < 0)
        return -1;
    if (changed)
        return error_set(err, REASON_EXPIRED, "The resourceVersion for the provided list is too old.");
    l->revision = q.revision;
    return 0;
}

static int read_limit(struct list *l, struct error **err)
{
    const char *text = operation_parameter(l->r->op, "limit");
    unsigned long long limit = 0;

    if (text && text[0] && str_to_u64(str_from(text), SIZE_MAX / 2, &limit) < 0)
        return error_set(err, REASON_BAD_REQUEST, "limit: Invalid value: \"%s\": it is no decimal number", text);
    l->limit = limit;
    return 0;
}

static int read_list(struct list *l, struct error **err)
{
    if (read_limit(l, err) < 0 || filter_read(l->r, &l->filter, err) < 0 || represent_begin(l->r, &l->table, err) < 0 ||
        check_revision(l, err) < 0)
        return -1;
    list_walk(l);
    if (!l->out.overflow)
        return 0;
    buffer_free(&l->out);
    return error_set(err, REASON_REQUEST_TOO_LARGE, "the list is too large for one reply; use limit");
}

void verb_list(struct request *r)
{
    struct error *err = NULL;
    struct list l = {.r = r, .after = arena_strdup(r->arena, ""), .out = BUFFER_MAX(REPRESENT_MAX)};

    if (read_list(&l, &err) < 0)
        return request_fail(r, err);
    size_t n = l.out.n;
    request_reply_json(r, 200, buffer_steal(&l.out), n);
}
