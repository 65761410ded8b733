#include "server/identity/source.h"

#include <strings.h>

static bool is_nocase(struct str a, const char *b)
{
    return a.p && b && strlen(b) == a.n && strncasecmp(a.p, b, a.n) == 0;
}

bool source_is_own(const struct source *s, const char *own)
{
    return is_nocase(s->origin, own);
}

bool source_is_foreign_page(const struct source *s, const char *own)
{
    return s->origin.p && !s->reads && !source_is_own(s, own);
}

/* «same-origin» and «none» (typed in, a bookmark) are the visitor's own; anything else, a value to come included, is
 * not. */
bool source_is_foreign_fetch(const struct source *s)
{
    return s->fetch_site.p && !str_is(s->fetch_site, "same-origin") && !str_is(s->fetch_site, "none");
}

bool source_is_document(const struct source *s)
{
    return str_is(s->fetch_mode, "navigate") && str_is(s->fetch_dest, "document");
}

bool source_is_foreign_site(const struct source *s)
{
    return source_is_foreign_fetch(s) && !(s->reads && source_is_document(s));
}
