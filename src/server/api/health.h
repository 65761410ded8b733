#pragma once

#include "server/api/request.h"

/* /healthz, /livez, /readyz, /version, /metrics. False: another path. Of these only /metrics asks who is there
 * (`public`). */
bool health_owns(struct str path, bool *public);
void health_handle(struct request *r, struct str path);
