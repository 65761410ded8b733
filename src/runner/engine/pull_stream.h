#pragma once

#include "base/str.h"
#include "runner/runtime/runtime.h"

/*
 * What an engine says while it pulls (POST /images/create, Docker's way, which Podman speaks too): lines of JSON, each
 * about one layer by its id, or a failure. Registries put words of theirs into it.
 */
#define PULL_LAYERS_MAX 256 /* more than an image may have */

struct pull_layer {
    char id[80];
    uint64_t bytes, total; /* total 0: not known */
    bool done;
};

struct pull_stream {
    struct pull_layer layers[PULL_LAYERS_MAX];
    size_t layers_len;
    char *failed; /* why it did; NULL: it has not. The caller frees */
};

void pull_stream_take(struct pull_stream *s, struct str line);
void pull_stream_progress(const struct pull_stream *s, struct runtime_progress *out);
