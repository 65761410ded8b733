#pragma once

#include "base/buffer.h"
#include "base/error.h"
#include "config/config.h"

/*
 * Where an environment listens, as its runtime says. It becomes nginx's upstream with each request:
 *
 *     unix:/run/open-hydra/env/…/s    below the runtime directory's env/
 *     http://10.42.0.7:8888           a literal address (IPv6 in brackets) of a network in environmentNetworks
 *
 * No names: they would be resolved with each request, and can be rebound. nginx holds the same rules in its
 * configuration, so that a server that was taken over shows it no other way.
 */
struct endpoint {
    const char *name; /* DNS label */
    const char *address;
    const char *token; /* sent to the environment, as Jupyter takes it («Authorization: token …»); NULL: nothing is */
};
int endpoint_check(const struct config *c, const struct endpoint *e, struct error **err) _must_check_;

/* For nginx's configuration: the pattern of a unix address, without its anchors; the lines of a `geo` block that tells
 * the addresses that may be an environment's («known») from others («»). */
void endpoint_write_pattern(struct buffer *b, const struct config *c);
void endpoint_write_networks(struct buffer *b, const struct config *c);
