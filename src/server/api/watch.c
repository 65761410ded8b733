/*
 * watch: a cursor into the store's log. Nothing is queued for a watcher: whenever its connection takes bytes, the next
 * events are read from the log and sent from the objects' own bytes.
 */
#include <assert.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/random.h"
#include "server/api/filter.h"
#include "server/api/represent.h"
#include "server/api/revision.h"
#include "server/api/status.h"
#include "server/api/verbs.h"
#include "server/api/watch_hub.h"
#include "server/api/watch_line.h"
#include "server/api/watch_state.h"
#include "server/api/watch_time.h"

#define EVENT_MAX ((size_t)16 << 20)
/* Read from the log in one go; what does not fit into the connection's buffer is read again. */
#define EVENTS_AT_ONCE 16

struct watcher {
    struct watch_member member;
    struct source source;
    struct request *r;
    struct filter filter;
    struct table table;
    struct watch_line line;
    struct watch_state *state; /* while the present objects are being sent */
    uint64_t position;         /* everything up to this revision has been sent or passed over */
    int64_t deadline_us;       /* clock_monotonic_us */
    bool headers_sent;
    bool bookmarks, wants_initial_end;
    bool ending, ended; /* after this line; now */
};

/* --- Lines --- */

static const char *const prefixes[] = {
    [EVENT_ADDED] = "{\"type\":\"ADDED\",\"object\":",
    [EVENT_MODIFIED] = "{\"type\":\"MODIFIED\",\"object\":",
    [EVENT_DELETED] = "{\"type\":\"DELETED\",\"object\":",
};

static void set_shown(struct watcher *w, enum event_type type, struct str json)
{
    struct buffer b = BUFFER_MAX(EVENT_MAX);
    _cleanup_json_ yyjson_doc *doc = json_parse(json, NULL);

    /* Ages in tables are of the moment in which they are shown. */
    w->table.now_us = clock_realtime_us();
    represent_object(w->r->op->representation, &w->table, &b, yyjson_doc_get_root(doc), json, !w->headers_sent);
    w->headers_sent = true;
    size_t n = b.n;
    watch_line_set_text(&w->line, prefixes[type], buffer_steal(&b), n);
}

static void set_object(struct watcher *w, enum event_type type, struct object *o)
{
    if (w->r->op->representation != REPRESENT_OBJECT)
        set_shown(w, type, o->json);
    else
        w->line = (struct watch_line){.prefix = prefixes[type], .object = object_ref(o), .body = o->json};
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
        watch_line_set_text(&w->line, prefixes[EVENT_DELETED], json, n);
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
    watch_line_set_text(&w->line, "{\"type\":\"ERROR\",\"object\":", text, n);
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
    watch_line_set_text(&w->line, "{\"type\":\"BOOKMARK\",\"object\":", buffer_steal(&b), n);
}

/* --- What comes next --- */

static void set_due(struct watcher *w)
{
    unsigned configured = w->r->api->options.bookmark_seconds;
    int64_t due = w->deadline_us;
    int64_t bookmark = clock_monotonic_us() + (int64_t)(configured ? configured : WATCH_BOOKMARK_SECONDS) * 1000000;

    if (w->bookmarks && bookmark < due)
        due = bookmark;
    atomic_store_explicit(&w->member.due_us, due, memory_order_relaxed);
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
    if (count > 0 && watch_right_has_ended(w->r)) {
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
                *n += watch_line_copy(&w->line, out + *n, max - *n);
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

    if (!atomic_load(&w->member.right_ended))
        return false;
    right_ended(&err);
    set_error(w, err);
    return true;
}

static bool next_timed(struct watcher *w)
{
    int64_t now = clock_monotonic_us();

    if (now < atomic_load_explicit(&w->member.due_us, memory_order_relaxed))
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
        *n += watch_line_copy(&w->line, out + *n, max - *n);
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

    if (!w->member.joined)
        watch_hub_join(&w->member);
    while (n < max && watch_step(w, out, max, &n))
        ;
    if (n)
        return (ssize_t)n;
    return w->ended ? -1 : 0;
}

static void watch_close(struct source *source)
{
    struct watcher *w = container_of(source, struct watcher, source);

    watch_hub_leave(&w->member);
    watch_line_clear(&w->line);
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
    w->member.r = r;
    w->member.source = &w->source;
    w->source = (struct source){.read = watch_read, .close = watch_close};
    if (read_watch(w, &err) < 0)
        return request_fail(r, err);
    set_due(w);
    /* A first one as soon as the present state is told: Firefox gives a script no answer before its first byte, so that
     * a silent watch would look like none. */
    if (w->bookmarks)
        atomic_store_explicit(&w->member.due_us, 0, memory_order_relaxed);
    request_stream(r, 200, "application/json", &w->source);
}
