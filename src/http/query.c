#include "http/query.h"

#include "base/alloc.h"
#include "base/encoding.h"

static const char *decode(struct str s, struct arena *arena)
{
    if (s.n == 0)
        return "";
    if (memchr(s.p, '\0', s.n))
        return NULL;
    if (memchr(s.p, '%', s.n) == NULL && memchr(s.p, '+', s.n) == NULL)
        return arena_strndup(arena, s.p, s.n);
    _cleanup_free_ char *decoded = percent_decode(s, true);
    return decoded ? arena_strdup(arena, decoded) : NULL;
}

bool query_next(struct str *rest, struct arena *arena, struct query_parameter *out)
{
    struct str part, name;

    while (str_split(rest, '&', &part)) {
        if (part.n == 0)
            continue;
        struct str value = part;
        str_split(&value, '=', &name);
        out->name = decode(name, arena);
        out->value = decode(name.n < part.n ? value : STR(""), arena);
        if (out->name && out->value)
            return true;
    }
    return false;
}
