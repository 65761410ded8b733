#pragma once

#include "client/client.h"
#include "config/config.h"

/*
 * Contents of data sets and courses that are not sent but fetched (spec.source): a folder of this machine, a git
 * repository, a file by HTTPS; what of these is allowed says contentSources. One thread, one after the other:
 *
 *     informers ── changed ──► look: is status.source of what spec.source says, and Ready?
 *                              fetch.h: programs of the system's, without privileges ──► a file that nobody else has
 *                              send.h: the file as a form to the server, which unpacks it as it does what is uploaded
 *
 * A failure is tried again, ever less often. What was interrupted is begun anew: nothing of it is kept.
 */
struct sources;
/* `server_socket`: where the server takes the form. */
struct sources *sources_start(const struct config *config, struct client *client, const char *server_socket);
/* The client's stop descriptor is readable. */
void sources_stop(struct sources *s);
