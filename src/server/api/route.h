#pragma once

#include "server/api/request.h"

/*
 * /apis/GROUP/VERSION/PLURAL[/NAME[/SUBRESOURCE]] and the method: fills in resource, name, subresource, handler and
 * verb. 1: it is a resource; 0: it is none; -1: it would be one, but not so (404, or 405 with Allow).
 */
int route(struct request *r, struct str path, struct error **err) _must_check_;

/* Of a table that ends with name == NULL; NULL: none. */
const struct subresource_handler *subresource_handler_find(const struct subresource_handler *h, const char *name);

int route_method_not_allowed(struct request *r, const char *allow, struct error **err);
