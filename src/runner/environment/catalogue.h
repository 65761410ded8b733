#pragma once

#include "client/informer.h"
#include "runner/environment/images.h"

/*
 * The sandboxes as the runner sees them: has their images looked for and pulled from the moment one names them, and writes
 * into each sandbox's status how far that is, at most once a second. One thread; level-triggered, as all of this room.
 */
struct catalogue_options {
    const struct config *config;
    struct client *client;
    struct informer *sandboxes;
    struct images *images;
    /* From any thread: a sandbox came, went, says something else, or has another image: environments are to be looked
     * at. */
    void (*renewed)(void *arg);
    void *arg;
};

struct catalogue;
struct catalogue *catalogue_new(const struct catalogue_options *o);
void catalogue_start(struct catalogue *c);
/* Waits for its thread; it may still be told of what comes. */
void catalogue_stop(struct catalogue *c);
void catalogue_free(struct catalogue *c);

/* What it is told, from any thread. */
void catalogue_sandbox_changed(struct catalogue *c, const char *name);
void catalogue_image_changed(struct catalogue *c, const char *reference, bool soon);
void catalogue_look_at_all(struct catalogue *c); /* server or engine are there again */

/* Who a sandbox says that we are at the registry of its images; the caller wipes both. NULL: nobody, or the server does
 * not say. */
void catalogue_credentials(struct catalogue *c, const char *sandbox, char **username, char **password);
