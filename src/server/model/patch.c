#include "server/model/patch.h"

#include <strings.h>

#define TEXT_MAX ((size_t)4096)

bool patch_type_fits(const struct patch_type *t, const struct kind *k)
{
    return !t->core_only || *k->group == '\0';
}

const struct patch_type *patch_type_find(const struct kind *k, struct str media_type)
{
    for (const struct patch_type *const *t = patch_types; *t; t++)
        if (media_type.n == strlen((*t)->media_type) &&
            strncasecmp(media_type.p, (*t)->media_type, media_type.n) == 0 && patch_type_fits(*t, k))
            return *t;
    return NULL;
}

char *patch_types_text(const struct kind *k)
{
    struct buffer b = BUFFER_MAX(TEXT_MAX);

    for (const struct patch_type *const *t = patch_types; *t; t++)
        if (patch_type_fits(*t, k))
            buffer_printf(&b, "%s%s", b.n ? ", " : "", (*t)->media_type);
    return buffer_steal(&b);
}
