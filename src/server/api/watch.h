#pragma once

#include "server/api/request.h"

/* The open watches: one thread for the deadlines and bookmarks of all of them. */
struct watch_hub *watch_hub_new(struct api *api);
/* After the HTTP server has stopped: no stream is open any more. */
void watch_hub_free(struct watch_hub *hub);
size_t watch_count(struct watch_hub *hub, size_t resource); /* by the index in api->resources */
