#pragma once

#include "base/buffer.h"
#include "runner/engine/container.h"
#include "runner/engine/host.h"

/* What the label says of an environment's ports on TCP; empty: it has none. */
void ports_write_label(struct buffer *b, const struct runtime_spec *s, const struct prepared *p);

/* Those of a container as its label says, and who its relays are. */
struct labelled_ports {
    uid_t relay;
    size_t n;
    struct {
        const char *name;
        uint16_t port;
    } list[PORTS_MAX];
};
/* Strings live in the arena. -1: the label is none of ours. */
int ports_read_label(struct arena *a, const char *text, struct labelled_ports *out);

/* From now on what reaches their sockets is handed to the ports of a container that runs. */
void ports_serve(struct engine *e, struct arena *a, const char *instance, yyjson_val *container);
/* They are added as where it is reached; none where it has none, or where their folder was lost. */
void ports_add_endpoints(struct engine *e, struct arena *a, const char *instance, yyjson_val *container,
                         struct instance *out);
