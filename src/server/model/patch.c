#include "server/model/patch.h"

#include <strings.h>

#define TEXT_MAX ((size_t)4096)

const struct patch_type *patch_type_find(struct str media_type)
{
    for (const struct patch_type *const *t = patch_types; *t; t++)
        if (media_type.n == strlen((*t)->media_type) && strncasecmp(media_type.p, (*t)->media_type, media_type.n) == 0)
            return *t;
    return NULL;
}

char *patch_types_text(void)
{
    struct buffer b = BUFFER_MAX(TEXT_MAX);

    for (const struct patch_type *const *t = patch_types; *t; t++)
        buffer_printf(&b, "%s%s", t == patch_types ? "" : ", ", (*t)->media_type);
    return buffer_steal(&b);
}
