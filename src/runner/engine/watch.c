#include "runner/engine/watch.h"

#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/thread.h"
#include "client/lines.h"
#include "runner/engine/container.h"
#include "runner/engine/facts.h"
#include "runner/engine/find.h"
#include "runner/engine/service.h"

/* The one thread of an engine: finds it, follows its events, notices when it goes away. */

#define MAX_EVENT 65536
#define FIRST_PAUSE_MS 200
#define LONGEST_PAUSE_MS 5000

static bool is_interesting(const char *action)
{
    static const char *const ends[] = {"die",     "died",  "stop",    "kill",  "oom",    "remove",
                                       "destroy", "start", "cleanup", "pause", "unpause"};

    for (size_t i = 0; action && i < ARRAY_SIZE(ends); i++)
        if (strcmp(action, ends[i]) == 0)
            return true;
    return false;
}

static int take_event(void *arg, struct str line)
{
    struct engine *e = arg;
    _cleanup_json_ yyjson_doc *doc = json_parse(line, NULL);
    yyjson_val *root = yyjson_doc_get_root(doc);
    const char *action = json_str_at(root, "Action");
    yyjson_val *labels = json_at(root, "Actor.Attributes");
    const char *device = yyjson_get_str(yyjson_obj_get(labels, LABEL_DEVICE));

    if (device && is_interesting(action))
        e->listener.changed(e->listener.arg, device);
    return 0;
}

/* Until the stream breaks. Podman sends nothing before the first event, so that the begin of the watch cannot be seen:
 * it asks for those of the last seconds too. */
static int follow_events(struct engine *e, struct error **err)
{
    _cleanup_arena_ struct arena *a = arena_new();
    struct line_reader reader = {.part = BUFFER_MAX(MAX_EVENT), .skip_long = true, .line = take_event, .arg = e};
    _cleanup_answer_ struct answer answer = {0};
    struct transport *t;

    if (engine_transport(e, &t, err) < 0)
        return -1;
    const char *path = arena_printf(a, API "/events?since=%lld&filters=%s",
                                    (long long)(clock_realtime_us() / 1000000 - 2), engine_filter(a, e->installation));
    struct call c = {.method = "GET", .path = path, .stop_fd = e->stop_fd, .receive = line_reader_take, .arg = &reader};
    int rc = transport_call(t, &c, &answer, err);
    buffer_free(&reader.part);
    if (rc == 0 && answer.status != 200)
        return error_set(err, REASON_INTERNAL, "the container engine refused its events (%u)", answer.status);
    return rc;
}

static int ping_engine(struct engine *e, struct error **err)
{
    struct request r = {"GET", API "/containers/json?limit=1", NULL, 5000, {200}};
    return engine_request(e, &r, NULL, err);
}

static void note_missing(struct engine *e, const char *message)
{
    LOCK_SCOPE(&e->lock);
    free(e->missing);
    e->missing = xstrdup(message);
}

static bool is_connected(struct engine *e)
{
    LOCK_SCOPE(&e->lock);
    return e->transport != NULL;
}

/* One of our own that ended is started again; another's comes back by itself or not, and may have been updated or set
 * up anew by then. It is never replaced by another engine: that one would know nothing of what runs here. */
static int bring_up(struct engine *e, struct error **err)
{
    if (!is_connected(e))
        return engine_connect(e, err);
    if (e->own_socket && !engine_service_alive(e) && ping_engine(e, NULL) < 0 &&
        engine_service_start(e, e->own_socket, err) < 0)
        return -1;
    struct transport *t;
    if (ping_engine(e, err) < 0 || engine_transport(e, &t, err) < 0)
        return -1;
    return engine_read_facts(e, t, err);
}

static void say_down(struct engine *e, bool *up, bool *said, const char *message)
{
    note_missing(e, message);
    if (*up || !*said) {
        log_warning("%s", message);
        e->listener.available(e->listener.arg, false, message);
    }
    *up = false;
    *said = true;
}

void *engine_watch(void *arg)
{
    struct engine *e = arg;
    bool up = false, said = false;
    unsigned pause = FIRST_PAUSE_MS;

    while (!stop_said(e->stop_fd)) {
        _cleanup_error_ struct error *err = NULL;
        if (bring_up(e, &err) < 0) {
            if (stop_said(e->stop_fd))
                break;
            say_down(e, &up, &said, err->message);
            stop_wait(e->stop_fd, pause);
            pause = pause * 2 < LONGEST_PAUSE_MS ? pause * 2 : LONGEST_PAUSE_MS;
            continue;
        }
        pause = FIRST_PAUSE_MS;
        if (!up && said)
            log_info("the container engine answers again");
        up = true;
        e->listener.available(e->listener.arg, true, NULL);
        if (follow_events(e, NULL) < 0 || !stop_said(e->stop_fd))
            stop_wait(e->stop_fd, FIRST_PAUSE_MS);
    }
    return NULL;
}
