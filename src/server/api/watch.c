/*
 * watch: a cursor into the store's log. Nothing is queued for a watcher: whenever its connection takes bytes, the next
 * events are read from the log and sent from the objects' own bytes.
 */
#include "server/api/watch.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/random.h"
#include "base/thread.h"
#include "server/api/filter.h"
#include "server/api/represent.h"
#include "server/api/revision.h"
#include "server/api/status.h"
#include "server/api/verbs.h"
#include "server/api/watch_state.h"
#include "server/api/watch_time.h"

/* Whether who watches may still is asked this often, and with each event. */
#define LOOK_INTERVAL_US (2 * 1000000LL)
#define EVENT_MAX ((size_t)16 << 20)
/* Read from the log in one go; what does not fit into the connection's buffer is read again. */
#define EVENTS_AT_ONCE 16

/* What is being sent: {"type":"ADDED","object": … } and a line feed. */
struct line {
    const char *prefix;
    struct str body;
    struct object *object; /* whose bytes the body is, or NULL */
    char *text;            /* or the body itself */
    size_t sent;
};

struct watcher {
    struct watcher *next, *previous; /* of the hub */
    struct store_watch link;
    struct source source;
    struct request *r;
    struct filter filter;
    struct table table;
    struct line line;
    struct watch_state *state; /* while the present objects are being sent */
    uint64_t position;         /* everything up to this revision has been sent or passed over */
    int64_t deadline_us;       /* clock_monotonic_us */
    _Atomic int64_t due_us;    /* of the next bookmark, or the deadline */
    int64_t look_us;           /* the hub's: when it looks again */
    atomic_bool right_ended;   /* … and what it saw */
    bool registered, headers_sent;
    bool bookmarks, wants_initial_end;
    bool ending, ended; /* after this line; now */
};

struct watch_hub {
    struct api *api;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    pthread_t thread;
    struct watcher *first;
    size_t *count; /* by resource */
    bool closing;
};

/* --- The hub --- */

/* A session that ended, a revoked certificate, a user demoted or deleted: what happened since is not told any more. */
static bool right_has_ended(const struct watcher *w)
{
    const struct api_options *o = &w->r->api->options;

    return o->still_holds && !o->still_holds(o->context, &w->r->op->who);
}

static bool look_at_right(struct watcher *w, int64_t now_us)
{
    if (now_us >= w->look_us) {
        w->look_us = now_us + LOOK_INTERVAL_US;
        if (right_has_ended(w))
            atomic_store(&w->right_ended, true);
    }
    return atomic_load(&w->right_ended);
}

static void wake_due(struct watch_hub *hub)
{
    int64_t now = clock_monotonic_us();

    for (struct watcher *w = hub->first; w; w = w->next)
        if (look_at_right(w, now) || atomic_load_explicit(&w->due_us, memory_order_relaxed) <= now)
            source_wake(&w->source);
}

/* Once a second, and not at all while nobody watches. */
static void *run_hub(void *arg)
{
    struct watch_hub *hub = arg;

    LOCK_SCOPE(&hub->lock);
    while (!hub->closing) {
        if (hub->first == NULL) {
            pthread_cond_wait(&hub->changed, &hub->lock);
            continue;
        }
        cond_wait_until(&hub->changed, &hub->lock, clock_monotonic_us() + 1000000);
        wake_due(hub);
    }
    return NULL;
}

struct watch_hub *watch_hub_new(struct api *api)
{
    struct watch_hub *hub = xcalloc(1, sizeof(*hub));

    hub->api = api;
    hub->count = xcalloc(api->resources_len + 1, sizeof(*hub->count));
    pthread_mutex_init(&hub->lock, NULL);
    cond_init_monotonic(&hub->changed);
    hub->thread = thread_start("watches", run_hub, hub);
    return hub;
}

void watch_hub_free(struct watch_hub *hub)
{
    if (hub == NULL)
        return;
    pthread_mutex_lock(&hub->lock);
    hub->closing = true;
    pthread_cond_signal(&hub->changed);
    pthread_mutex_unlock(&hub->lock);
    pthread_join(hub->thread, NULL);
    pthread_cond_destroy(&hub->changed);
    pthread_mutex_destroy(&hub->lock);
    free(hub->count);
    free(hub);
}

size_t watch_count(struct watch_hub *hub, size_t resource)
{
    LOCK_SCOPE(&hub->lock);
    return hub->count[resource];
}

static size_t resource_index(const struct watcher *w)
{
    return (size_t)(w->r->resource - w->r->api->resources);
}

static void wake_watcher(void *arg)
{
    struct watcher *w = arg;
    source_wake(&w->source);
}

/* In the first read and not before the stream begins: from then on close is sure to come, and not before. */
static void join_hub(struct watcher *w)
{
    struct api *api = w->r->api;
    struct watch_hub *hub = api->watches;

    w->registered = true;
    w->link = (struct store_watch){.wake = wake_watcher, .arg = w};
    store_watch(api->options.store, request_collection(w->r), &w->link);
    LOCK_SCOPE(&hub->lock);
    w->next = hub->first;
    if (w->next)
        w->next->previous = w;
    else
        pthread_cond_signal(&hub->changed);
    hub->first = w;
    hub->count[resource_index(w)]++;
}

static void leave_hub(struct watcher *w)
{
    struct api *api = w->r->api;
    struct watch_hub *hub = api->watches;

    if (!w->registered)
        return;
    store_unwatch(api->options.store, request_collection(w->r), &w->link);
    LOCK_SCOPE(&hub->lock);
    if (w->next)
        w->next->previous = w->previous;
    if (w->previous)
        w->previous->next = w->next;
    else
        hub->first = w->next;
    hub->count[resource_index(w)]--;
}

/* --- Lines --- */

static const char *const prefixes[] = {
    [EVENT_ADDED] = "{\"type\":\"ADDED\",\"object\":",
    [EVENT_MODIFIED] = "{\"type\":\"MODIFIED\",\"object\":",
    [EVENT_DELETED] = "{\"type\":\"DELETED\",\"object\":",
};
#define LINE_END "}\n"

static void line_clear(struct line *l)
{
    object_unref(l->object);
    free(l->text);
    *l = (struct line){0};
}

static void line_set_text(struct line *l, const char *prefix, char *text, size_t n)
{
    *l = (struct line){.prefix = prefix, .text = text, .body = {text, n}};
}

static size_t copy_piece(struct str piece, size_t *skip, char *out, size_t max)
{
    if (*skip >= piece.n) {
        *skip -= piece.n;
        return 0;
    }
    size_t n = piece.n - *skip;
    if (n > max)
        n = max;
    memcpy(out, piece.p + *skip, n);
    *skip = 0;
    return n;
}

/* Copies what fits; clears the line once all of it is sent. */
static size_t line_copy(struct line *l, char *out, size_t max)
{
    struct str pieces[] = {str_from(l->prefix), l->body, STR(LINE_END)};
    size_t skip = l->sent, n = 0, total = 0;

    for (size_t i = 0; i < ARRAY_SIZE(pieces); i++) {
        n += copy_piece(pieces[i], &skip, out + n, max - n);
        total += pieces[i].n;
    }
    l->sent += n;
    if (l->sent == total)
        line_clear(l);
    return n;
}

static void set_shown(struct watcher *w, enum event_type type, struct str json)
{
    struct buffer b = BUFFER_MAX(EVENT_MAX);
    _cleanup_json_ yyjson_doc *doc = json_parse(json, NULL);

    /* Ages in tables are of the moment in which they are shown. */
    w->table.now_us = clock_realtime_us();
    represent_object(w->r->op->representation, &w->table, &b, yyjson_doc_get_root(doc), json, !w->headers_sent);
    w->headers_sent = true;
    size_t n = b.n;
    line_set_text(&w->line, prefixes[type], buffer_steal(&b), n);
}

static void set_object(struct watcher *w, enum event_type type, struct object *o)
{
    if (w->r->op->representation != REPRESENT_OBJECT)
        set_shown(w, type, o->json);
    else
        w->line = (struct line){.prefix = prefixes[type], .object = object_ref(o), .body = o->json};
}

/* An object that stopped matching: its last state that did, with the revision of the change (as Kubernetes does), so
 * that nothing of the new state is told. */
static void set_gone(struct watcher *w, const struct event *e)
{
    char revision[24];
    size_t n;
    assert(e->previous); /* or it could not have matched */
    _cleanup_json_ yyjson_doc *doc = json_parse(e->previous->json, NULL);
    _cleanup_json_mut_ yyjson_mut_doc *copy = yyjson_doc_mut_copy(doc, NULL);
    yyjson_mut_val *root = yyjson_mut_doc_get_root(copy);

    snprintf(revision, sizeof(revision), "%llu", (unsigned long long)e->revision);
    json_mut_set_str(copy, json_mut_make_obj(copy, root, "metadata"), "resourceVersion", revision);
    char *json = json_mut_write(root, &n);
    if (w->r->op->representation == REPRESENT_OBJECT) {
        line_set_text(&w->line, prefixes[EVENT_DELETED], json, n);
        return;
    }
    set_shown(w, EVENT_DELETED, (struct str){json, n});
    free(json);
}

static void set_error(struct watcher *w, struct error *err)
{
    size_t n;
    char *text = status_json(err, NULL, NULL, &n);

    if (n && text[n - 1] == '\n')
        n--;
    error_free(err);
    line_set_text(&w->line, "{\"type\":\"ERROR\",\"object\":", text, n);
    w->ending = true;
}

static void set_bookmark(struct watcher *w, bool initial_end)
{
    const struct kind *k = w->r->op->kind;
    struct buffer b = BUFFER_MAX(4096), shown = BUFFER_MAX(65536);

    buffer_printf(&b, "{\"kind\":\"%s\",\"apiVersion\":\"%s\",\"metadata\":{\"resourceVersion\":\"%llu\"", k->kind,
                  k->api_version, (unsigned long long)w->position);
    buffer_puts(&b, initial_end ? ",\"annotations\":{\"k8s.io/initial-events-end\":\"true\"}}}" : "}}");
    if (w->r->op->representation != REPRESENT_OBJECT) {
        _cleanup_json_ yyjson_doc *doc = json_parse(buffer_str(&b), NULL);
        represent_object(w->r->op->representation, &w->table, &shown, yyjson_doc_get_root(doc), buffer_str(&b),
                         !w->headers_sent);
        w->headers_sent = true;
        buffer_free(&b);
        b = shown;
    }
    size_t n = b.n;
    line_set_text(&w->line, "{\"type\":\"BOOKMARK\",\"object\":", buffer_steal(&b), n);
}

/* --- What comes next --- */

static void set_due(struct watcher *w)
{
    unsigned configured = w->r->api->options.bookmark_seconds;
    int64_t due = w->deadline_us;
    int64_t bookmark = clock_monotonic_us() + (int64_t)(configured ? configured : WATCH_BOOKMARK_SECONDS) * 1000000;

    if (w->bookmarks && bookmark < due)
        due = bookmark;
    atomic_store_explicit(&w->due_us, due, memory_order_relaxed);
}

/* The line for an event, or none where this watcher is not to see it. With a filter, an object may begin or cease to
 * match. */
static void set_event(struct watcher *w, const struct event *e)
{
    const struct filter *f = &w->filter;

    if (w->state && !watch_state_passes(w->state, e))
        return;
    if (filter_is_open(f))
        return set_object(w, e->type, e->object);
    bool now = e->type != EVENT_DELETED && filter_matches(f, e->object);
    bool before = e->type != EVENT_ADDED && filter_matches(f, e->previous ? e->previous : e->object);
    if (e->type == EVENT_DELETED && before)
        set_object(w, EVENT_DELETED, e->object);
    else if (now)
        /* What came before is unknown where the log was read back from disk: clients take either type for an unknown
         * object. */
        set_object(w, before || !e->previous ? e->type : EVENT_ADDED, e->object);
    else if (before)
        set_gone(w, e);
}

static int right_ended(struct error **err)
{
    return error_set(err, REASON_UNAUTHORIZED, "the right to this watch has ended: log in again");
}

/* Events into `out`, as many as fit. False: there are no more now. */
static bool copy_events(struct watcher *w, char *out, size_t max, size_t *n)
{
    struct event events[EVENTS_AT_ONCE];
    struct error *err = NULL;
    uint64_t reached;
    int count = store_events(w->r->api->options.store, request_collection(w->r), w->position, events, EVENTS_AT_ONCE,
                             &reached, &err);

    /* Asked after the events have been taken: what ended the right before them is seen. */
    if (count > 0 && right_has_ended(w)) {
        for (int i = 0; i < count; i++)
            event_release(&events[i]);
        count = right_ended(&err);
    }
    if (count < 0) {
        set_error(w, err);
        return true;
    }
    for (int i = 0; i < count; i++) {
        if (w->line.prefix == NULL) {
            set_event(w, &events[i]);
            w->position = events[i].revision;
            if (w->line.prefix)
                *n += line_copy(&w->line, out + *n, max - *n);
        }
        event_release(&events[i]);
    }
    if (w->line.prefix == NULL && count < EVENTS_AT_ONCE)
        w->position = reached;
    return count > 0;
}

/* The present objects, while there are any; then the end of that phase. False: it is over (or waits for events first).
 */
static bool next_initial(struct watcher *w)
{
    struct object *o;

    while ((o = watch_state_next(w->state))) {
        if (filter_matches(&w->filter, o))
            set_object(w, EVENT_ADDED, o);
        object_unref(o);
        if (w->line.prefix)
            return true;
    }
    return false;
}

/* All objects of this part are sent, and the log has nothing new: the next part, or the end of the phase. */
static bool advance_initial(struct watcher *w)
{
    struct request *r = w->r;

    if (!watch_state_is_last(w->state)) {
        watch_state_load(w->state, r->api->options.store, request_collection(r), &w->position);
        return true;
    }
    watch_state_free(steal_ptr(w->state));
    if (w->wants_initial_end) {
        set_bookmark(w, true);
        set_due(w);
    }
    return true;
}

/* Between two lines, and once. */
static bool end_without_right(struct watcher *w)
{
    struct error *err = NULL;

    if (!atomic_load(&w->right_ended))
        return false;
    right_ended(&err);
    set_error(w, err);
    return true;
}

static bool next_timed(struct watcher *w)
{
    int64_t now = clock_monotonic_us();

    if (now < atomic_load_explicit(&w->due_us, memory_order_relaxed))
        return false;
    w->ending = now >= w->deadline_us;
    /* None in the midst of the present objects, which would then look complete. */
    if (w->state && !w->ending)
        return false;
    /* The last word is a bookmark too: the next watch starts from there. */
    if (w->bookmarks && w->state == NULL)
        set_bookmark(w, false);
    set_due(w);
    return true;
}

/* Does one step. False: nothing to send now. */
static bool watch_step(struct watcher *w, char *out, size_t max, size_t *n)
{
    if (w->line.prefix) {
        *n += line_copy(&w->line, out + *n, max - *n);
        return true;
    }
    if (w->ending) {
        w->ended = true;
        return false;
    }
    if (end_without_right(w) || next_timed(w) || (w->state && next_initial(w)))
        return true;
    return copy_events(w, out, max, n) || (w->state && advance_initial(w));
}

static ssize_t watch_read(struct source *source, char *out, size_t max)
{
    struct watcher *w = container_of(source, struct watcher, source);
    size_t n = 0;

    if (!w->registered)
        join_hub(w);
    while (n < max && watch_step(w, out, max, &n))
        ;
    if (n)
        return (ssize_t)n;
    return w->ended ? -1 : 0;
}

static void watch_close(struct source *source)
{
    struct watcher *w = container_of(source, struct watcher, source);

    leave_hub(w);
    line_clear(&w->line);
    watch_state_free(w->state);
}

/* --- The request --- */

static int read_deadline(struct watcher *w, struct error **err)
{
    uint32_t jitter;
    int64_t us;

    random_bytes(&jitter, sizeof(jitter));
    if (watch_duration(operation_parameter(w->r->op, "timeoutSeconds"), w->r->api->options.watch_seconds, jitter, &us,
                       err) < 0)
        return -1;
    w->deadline_us = clock_monotonic_us() + us;
    return 0;
}

/* Where it starts: with the present state, or after a revision (Kubernetes: «API concepts», Efficient detection of
 * changes, Streaming lists). */
static int read_start(struct watcher *w, struct error **err)
{
    struct request *r = w->r;
    struct revision_query q;
    const char *initial = operation_parameter(r->op, "sendInitialEvents");
    bool asked = initial && initial[0], send = operation_flag(r->op, "sendInitialEvents");

    if (revision_query(r, &q, err) < 0)
        return -1;
    if (asked && q.match != MATCH_NOT_OLDER)
        return error_set(err, REASON_BAD_REQUEST,
                         "resourceVersionMatch: Forbidden: sendInitialEvents requires setting resourceVersionMatch to "
                         "NotOlderThan");
    if (!asked && q.match != MATCH_UNSET)
        return error_set(err, REASON_BAD_REQUEST,
                         "resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden for watch unless "
                         "sendInitialEvents is provided");
    if (send || (!asked && q.revision == 0)) {
        w->state = watch_state_new();
        watch_state_load(w->state, r->api->options.store, request_collection(r), &w->position);
    } else {
        w->position = q.revision ? q.revision : store_revision(r->api->options.store);
    }
    w->wants_initial_end = send && w->bookmarks;
    return 0;
}

static int read_watch(struct watcher *w, struct error **err)
{
    struct request *r = w->r;

    w->bookmarks = operation_flag(r->op, "allowWatchBookmarks");
    if (filter_read(r, &w->filter, err) < 0 || represent_begin(r, &w->table, err) < 0 || read_deadline(w, err) < 0)
        return -1;
    return read_start(w, err);
}

void verb_watch(struct request *r)
{
    struct error *err = NULL;
    struct watcher *w = arena_alloc(r->arena, sizeof(*w));

    w->r = r;
    w->source = (struct source){.read = watch_read, .close = watch_close};
    if (read_watch(w, &err) < 0)
        return request_fail(r, err);
    set_due(w);
    /* A first one as soon as the present state is told: Firefox gives a script no answer before its first byte, so that
     * a silent watch would look like none. */
    if (w->bookmarks)
        atomic_store_explicit(&w->due_us, 0, memory_order_relaxed);
    request_stream(r, 200, "application/json", &w->source);
}
