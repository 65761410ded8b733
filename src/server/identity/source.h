#pragma once

#include "base/str.h"

/*
 * Rules 2 and 3 of gateway/rules.h, the same for the dashboard's API (origin.h) and for environments:
 * whether somebody else's page may have made a browser send this. Programs that are no browsers send none of these
 * headers.
 */
struct source {
    struct str origin, fetch_site, fetch_mode, fetch_dest; /* p == NULL: absent */
    bool reads;                                            /* GET or HEAD, and no handshake for another protocol */
};

/* Without `own` no page at all is ours. */
bool source_is_own(const struct source *s, const char *own);
/* Rule 2: a page of another origin than `own` would do something. */
bool source_is_foreign_page(const struct source *s, const char *own);
/* A page of another site (the same one with another port is one, too) has it sent. */
bool source_is_foreign_fetch(const struct source *s);
/* Frames and objects are navigations too: only a document in a tab of its own counts. */
bool source_is_document(const struct source *s);
/* Rule 3: … and it is more than a link that was followed. */
bool source_is_foreign_site(const struct source *s);
