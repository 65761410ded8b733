#pragma once

#include "runner/engine/calls.h"

#define LABEL_INSTALLATION "io.openhydra.installation"
#define LABEL_INSTANCE "io.openhydra.instance"
#define LABEL_DEVICE "io.openhydra.device"
#define LABEL_UID "io.openhydra.device-uid"
#define LABEL_OWNER "io.openhydra.owner"
#define LABEL_GENERATION "io.openhydra.generation"
#define LABEL_NETWORK "io.openhydra.network" /* there where it has one: private networks that it may reach */
#define LABEL_PORTS "io.openhydra.ports"     /* there where it listens on TCP: ports.h */
#define LABEL_GPUS "io.openhydra.gpus" /* there where it has some: their ids, once for each unit, joined by commas */
#define LABEL_REVISION "io.openhydra.revision"

/* Paths end up in a URL: ids are checked before they get here. */
char *container_name(struct arena *a, const char *instance);
/* The label filter that selects this installation's containers, quoted for a query. */
char *engine_filter(struct arena *a, const char *installation);
/* Strings of the labels, copied. */
void container_read_labels(yyjson_val *labels, struct instance *out);

/* The container that has the name of this instance's and the labels of it and of this installation: names alone are the
 * server's word. NotFound; Conflict where it is another's. */
int engine_inspect(struct engine *e, struct arena *a, const char *instance, yyjson_doc **out, struct error **err)
    _must_check_;

struct container {
    const char *id; /* by which no other can be meant; quoted for a path */
    pid_t conmon;   /* who reads what it prints; 0: nobody that is known */
};
/* 1: there; 0: there is none. */
int container_find(struct engine *e, struct arena *a, const char *instance, struct container *out, struct error **err)
    _must_check_;
/* NotFound where there is none. */
int engine_find(struct engine *e, struct arena *a, const char *instance, const char **id, struct error **err)
    _must_check_;
/* Stops and removes it. */
int container_end(struct engine *e, struct arena *a, const struct container *c, unsigned grace, struct error **err)
    _must_check_;
