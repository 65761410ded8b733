#pragma once

#include "runner/engine/calls.h"

/* Starts `podman system service` on `socket`, where it does not run. */
int engine_service_start(struct engine *e, const char *socket, struct error **err) _must_check_;
/* Notices its end; true where it runs. */
bool engine_service_alive(struct engine *e);
void engine_service_stop(struct engine *e);
/* containers.conf for it. The caller frees. */
char *engine_service_conf(void);
