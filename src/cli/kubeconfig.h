#pragma once

#include "cli/layout.h"
#include "pki/pki.h"

struct pki_options kubeconfig_pki(const struct config *c, const struct layout *l);

/* Writes DATA/kubeconfig where there is none, or where it names another address than today's. */
int kubeconfig_ensure(const struct config *c, const struct layout *l, struct error **err) _must_check_;
