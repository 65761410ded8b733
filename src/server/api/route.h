#pragma once

#include "http/http.h"
#include "server/api/options.h"

/*
 * /apis/GROUP/VERSION[/namespaces/NAMESPACE]/PLURAL[/NAME[/SUBRESOURCE]], /api/VERSION/… of the core group, and the method: fills in kind, name, subresource and verb; reads the
 * parameter `watch`. What is no resource has a verb alone. Fails where it would be a resource, but not so (404, or 405;
 * then *allow is what the header Allow says).
 */
int route_operation(const struct api_resource *resources, size_t n, enum http_method method, struct str path,
                    struct operation *op, const char **allow, struct error **err) _must_check_;
