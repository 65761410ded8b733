#pragma once

#include "cli/layout.h"

/* Writes DATA/kubeconfig where there is none, or where it names another address than today's. */
int kubeconfig_ensure(const struct config *c, const struct layout *l, struct error **err) _must_check_;
/* "https://127.0.0.1:30443"; the caller frees. */
char *kubeconfig_server_url(const struct config *c);
