#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "config/config.h"

/*
 * Where a proxy of somebody else's stands before our gateway (it holds the certificate, say): by which addresses
 * browsers come there. Dashboard and environments stay origins of their own, without a path: an environment keeps its
 * port, or has a host name that holds it, and then the outer proxy may send all of them to any one of the environments'
 * ports.
 *
 *     publicAddress: https://hydra.school.example
 *     environmentPublicAddress: https://hydra.school.example:{port}        the default
 *                               https://env-{port}.hydra.school.example
 */
/* Checks what the configuration says, and writes it as browsers do: in lower case, without the scheme's own port.
 * Errors name the key. */
int public_complete(struct config *c, struct error **err) _must_check_;
bool public_is_https(const struct config *c);
/* Browsers keep Secure cookies of it. */
bool public_is_secure(const struct config *c);
/* "https://hydra.school.example:31001"; the caller frees. */
char *public_environment_origin(const struct config *c, uint16_t port);
/* What a Content-Security-Policy calls the origins of all environments; the caller frees. */
char *public_environment_source(const struct config *c);
