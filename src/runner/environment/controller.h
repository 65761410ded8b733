#pragma once

#include "client/client.h"
#include "config/config.h"
#include "runner/runtime/runtime.h"

/*
 * Level-triggered: compares what should run (devices) with what does (the runtime), after any event and on a slow
 * timer, and does the next step. What it knows by itself can be found again from status and runtime after a kill at any
 * moment.
 */
struct controller_options {
    const struct config *config;
    struct client *client;
    struct runtime *runtime;
};

struct controller;
struct controller *controller_start(const struct controller_options *options);
/* To be called every second or so: the slow timer. */
void controller_tick(struct controller *c);
/* The client's stop descriptor must be readable. */
void controller_stop(struct controller *c);

struct environments;
struct environments *controller_environments(struct controller *c);
