#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "config/config.h"
#include "kinds/sandbox.h"
#include "runner/runtime/runtime.h"

/*
 * The images that sandboxes name, as they are here: each is looked for, and pulled where it is not there, a few at a
 * time. Threads of its own pull; who looks (the catalogue) and who waits (environments) are told of changes. Thread-safe.
 *
 *   Pending → Pulling → Ready       Failed: its reason says why; tried again, ever more seldom, unless that helps nothing
 *
 * What is Ready stays so while a newer one is fetched under its name: a start never waits for a registry.
 */
enum image_phase { IMAGE_PENDING, IMAGE_PULLING, IMAGE_READY, IMAGE_FAILED };
const char *image_phase_name(enum image_phase p);

struct image_wish {
    const char *reference;
    enum pull_policy policy;
    const char *sandbox; /* whose credentials its registry gets; NULL: none */
    bool anew;           /* somebody has changed something: what failed is tried again at once */
};

struct image_state {
    enum image_phase phase;
    struct runtime_image image; /* where it is Ready */
    const char *reason;         /* of a failure, static: ImageMissing, ImageRefused, ImagePullFailed */
    char *message;              /* for people; NULL: none */
    bool pulling;               /* Pulling, or Ready and a newer one is being fetched */
    struct runtime_progress progress;
    uint64_t bytes_per_second;
};
void image_state_clear(struct image_state *s);
#define _cleanup_image_state_ _cleanup_(image_state_clear)
/* «45 % of 2.7 GiB, 24 MiB/s, 3 of 9 layers»; "" where nothing has come yet. The caller frees. */
char *image_progress_text(const struct image_state *s);

/* Whether two names are one: «x» is «x:latest», and engines list what was asked for as «x» as «docker.io/library/x». */
bool image_same_name(const char *a, const char *b);

struct images_options {
    const struct config *config;
    struct runtime *runtime;
    /* Called from any thread, no lock held. `changed`: its phase did (`soon` false), or how far it is. `wake`: who waited
     * for it is to ask again. */
    void (*changed)(void *arg, const char *reference, bool soon);
    void (*wake)(void *arg, const char *device);
    /* What sandbox says who we are at its registry; both are freed by who asked, wiped. NULL: nobody. */
    void (*credentials)(void *arg, const char *sandbox, char **username, char **password);
    void *arg;
};

struct images;
struct images *images_new(const struct images_options *o);
void images_start(struct images *m);
/* Waits for its threads: the runtime's stop descriptor is readable. */
void images_stop(struct images *m);
void images_free(struct images *m);

/* Looks for it, asks for a pull where there is reason to, and says what came of it. In how many seconds it is to be
 * looked at again. */
unsigned images_look(struct images *m, const struct image_wish *wish, struct image_state *out);
/* Forgets all but the references that are keys of `named`; a pull of such a one is ended. */
void images_keep(struct images *m, const struct map *named);
/* False where nothing is known of it. */
bool images_state(struct images *m, const char *reference, struct image_state *out);
/* Whether an environment waits for it; then it is woken when there is more to say. Not where nothing is known of it. */
bool images_await(struct images *m, const char *reference, const char *device, struct image_state *out);
/* It was looked for and is not there, whatever was known: as Pending as a new one. */
void images_missed(struct images *m, const char *reference);
