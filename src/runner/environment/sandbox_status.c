#include "runner/environment/sandbox_status.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "client/client.h"

/* As conditions.type, which kubectl wait asks for. */
#define CONDITION "ImagesReady"

void sandbox_report_clear(struct sandbox_report *r)
{
    for (size_t i = 0; i < r->len; i++)
        image_state_clear(&r->images[i].state);
    r->len = 0;
}

/* --- One image --- */

static void fill_progress(yyjson_mut_doc *doc, yyjson_mut_val *one, const struct image_state *s)
{
    yyjson_mut_val *p = json_mut_make_obj(doc, one, "progress");

    json_mut_set_int(doc, p, "layers", s->progress.layers);
    json_mut_set_int(doc, p, "layersDone", s->progress.layers_done);
    json_mut_set_int(doc, p, "bytes", (int64_t)s->progress.bytes);
    json_mut_set_int(doc, p, "totalBytes", (int64_t)s->progress.bytes_total);
    json_mut_set_int(doc, p, "bytesPerSecond", (int64_t)s->bytes_per_second);
}

static void fill_image(yyjson_mut_doc *doc, yyjson_mut_val *one, const struct sandbox_image *named,
                       const struct image_state *s)
{
    json_mut_set_str(doc, one, "reference", named->reference);
    json_mut_set_str(doc, one, "resource", named->resource);
    json_mut_set_str(doc, one, "phase", image_phase_name(s->phase));
    json_mut_set_str(doc, one, "reason", s->reason);
    json_mut_set_str(doc, one, "message", s->message);
    if (s->phase == IMAGE_READY) {
        json_mut_set_str(doc, one, "digest", s->image.id);
        json_mut_set_int(doc, one, "size", (int64_t)s->image.bytes);
    }
    if (s->pulling)
        fill_progress(doc, one, s);
}

/* --- All of them --- */

/* What is most in the way of a start. */
static const struct image_state *worst(const struct sandbox_report *r)
{
    static const struct image_state none = {.phase = IMAGE_PENDING};
    static const unsigned badness[] = {[IMAGE_READY] = 0, [IMAGE_PENDING] = 1, [IMAGE_PULLING] = 2, [IMAGE_FAILED] = 3};
    const struct image_state *found = r->len ? &r->images[0].state : &none;

    for (size_t i = 1; i < r->len; i++)
        if (badness[r->images[i].state.phase] > badness[found->phase])
            found = &r->images[i].state;
    return found;
}

static const char *since(yyjson_val *object, bool holds, const char *now)
{
    yyjson_val *old = yyjson_arr_get_first(json_at(object, "status.conditions"));
    const char *when = json_str_at(old, "lastTransitionTime");

    return when && streq(json_str_at(old, "status"), holds ? "True" : "False") ? when : now;
}

static void fill_condition(yyjson_val *object, yyjson_mut_doc *doc, yyjson_mut_val *status, const struct image_state *w)
{
    yyjson_mut_val *list = yyjson_mut_arr(doc), *one = yyjson_mut_arr_add_obj(doc, list);
    bool holds = w->phase == IMAGE_READY;
    char now[TIMESTAMP_SIZE];

    timestamp(now, clock_realtime_us());
    json_mut_set_str(doc, one, "type", CONDITION);
    json_mut_set_str(doc, one, "status", holds ? "True" : "False");
    json_mut_set_str(doc, one, "reason", w->reason ? w->reason : image_phase_name(w->phase));
    json_mut_set_str(doc, one, "message", w->message ? w->message : "");
    json_mut_set_str(doc, one, "lastTransitionTime", since(object, holds, now));
    json_mut_set(doc, status, "conditions", list);
}

static void set_or_null(yyjson_mut_doc *doc, yyjson_mut_val *status, const char *key, const char *text)
{
    if (text && *text)
        json_mut_set_str(doc, status, key, text);
    else
        json_mut_set(doc, status, key, yyjson_mut_null(doc));
}

void sandbox_report_fill(yyjson_val *object, yyjson_mut_doc *doc, yyjson_mut_val *status, void *report)
{
    const struct sandbox_report *r = report;
    const struct image_state *w = worst(r);
    _cleanup_free_ char *progress = image_progress_text(w);
    yyjson_mut_val *list = yyjson_mut_arr(doc);

    for (size_t i = 0; i < r->len; i++)
        fill_image(doc, yyjson_mut_arr_add_obj(doc, list), &r->images[i].named, &r->images[i].state);
    json_mut_set(doc, status, "images", list);
    json_mut_set_str(doc, status, "phase", image_phase_name(w->phase));
    set_or_null(doc, status, "progress", progress);
    set_or_null(doc, status, "message", w->message);
    json_mut_set_int(doc, status, "observedGeneration", json_int_at(object, "metadata.generation", 0));
    fill_condition(object, doc, status, w);
}

bool sandbox_report_differs(const struct sandbox_report *r, yyjson_val *object)
{
    return client_status_differs(object, sandbox_report_fill, (void *)r);
}
