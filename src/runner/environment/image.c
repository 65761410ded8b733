#include "runner/environment/image.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "runner/environment/failed.h"

/* What it was given says it surely; until then, what it asks for. */
static const char *gpu_resource(const struct device *d)
{
    const char *given = json_str_at(yyjson_arr_get_first(d->gpus), "resource");
    return given ? given : d->gpu ? d->gpu_driver : NULL;
}

const char *device_image(const struct device *d, const struct sandbox *s)
{
    return sandbox_image(s, gpu_resource(d));
}

bool environment_image(struct environments *es, yyjson_val *device, struct image_state *out)
{
    struct device d;
    struct sandbox s;

    device_read(device, &d);
    _cleanup_cached_ struct cached *cached = d.sandbox ? informer_get(es->sandboxes, d.sandbox) : NULL;
    if (cached == NULL)
        return false;
    sandbox_read(cached->object, &s);
    const char *reference = device_image(&d, &s);
    return reference && images_state(es->images, reference, out);
}

/* --- Waiting for it --- */

static void say_failed(struct environments *es, struct environment *e, const char *reference,
                       const struct image_state *s)
{
    _cleanup_free_ char *message = xasprintf("image %s: %s", reference, s->message ? s->message : "");

    if (e->phase == PHASE_FAILED && streq(e->reason, s->reason) && streq(e->message, message))
        return;
    environment_fail(es, e, s->reason, message, streq(s->reason, "ImageRefused"));
}

static void say_coming(struct environment *e, const char *reference, const struct image_state *s)
{
    _cleanup_free_ char *progress = image_progress_text(s);

    if (e->phase != PHASE_PREPARING)
        environment_enter(e, PHASE_PREPARING, 0);
    if (s->phase == IMAGE_PENDING)
        environment_set(e, PHASE_PREPARING, "ImagePending", "image %s is to be pulled: %s", reference,
                        s->message ? s->message : "others come first");
    else
        environment_set(e, PHASE_PREPARING, "ImagePulling", "image %s is being pulled: %s", reference,
                        *progress ? progress : "its registry is asked");
}

/* It has no deadline and holds nobody's turn; it takes a turn of its own when the image is here. What failed stays so
 * until a part of the image has come. */
static void wait_for_image(struct environments *es, struct environment *e, const char *reference,
                           const struct image_state *s, yyjson_val *object)
{
    turns_leave(es->turns, e->name);
    environment_note_waiting(e, object);
    e->deadline_us = INT64_MAX;
    if (s->phase == IMAGE_FAILED)
        say_failed(es, e, reference, s);
    else if (e->phase != PHASE_FAILED || s->progress.bytes)
        say_coming(e, reference, s);
}

bool environment_awaits_image(struct environments *es, struct environment *e, const struct device *d,
                              yyjson_val *object)
{
    _cleanup_cached_ struct cached *cached = d->sandbox ? informer_get(es->sandboxes, d->sandbox) : NULL;
    _cleanup_image_state_ struct image_state state = {0};
    struct sandbox s;

    if (cached == NULL)
        return false;
    sandbox_read(cached->object, &s);
    const char *reference = device_image(d, &s);
    if (reference == NULL || !images_await(es->images, reference, e->name, &state))
        return false;
    wait_for_image(es, e, reference, &state, object);
    return true;
}

int environment_find_image(struct environments *es, struct environment *e, const char *reference, yyjson_val *object)
{
    _cleanup_error_ struct error *err = NULL;
    _cleanup_image_state_ struct image_state state = {0};
    struct runtime_image here;
    int there = es->runtime->ops->image_find(es->runtime, reference, &here, &err);

    if (there < 0) {
        environment_stumble(es, e, "EngineError", err);
        return 0;
    }
    if (there > 0) {
        memcpy(e->image, here.id, sizeof(e->image));
        return 1;
    }
    images_missed(es->images, reference);
    if (images_await(es->images, reference, e->name, &state))
        wait_for_image(es, e, reference, &state, object);
    else /* it came this moment */
        queue_add(es->queue, e->name);
    return 0;
}
