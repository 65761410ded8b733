#include "unpack/kind.h"

#include <string.h>
#include <strings.h>

#include "base/attributes.h"

static const char *const endings[] = {
    ".zip", ".7z", ".tar", ".tar.gz", ".tgz", ".tar.xz", ".txz", ".tar.zst", ".tzst", ".tar.bz2", ".tbz2", ".tbz",
};

bool kind_is_archive(const char *name)
{
    size_t n = strlen(name);

    for (size_t i = 0; i < ARRAY_SIZE(endings); i++) {
        size_t m = strlen(endings[i]);
        if (n >= m && strcasecmp(name + n - m, endings[i]) == 0)
            return true;
    }
    return false;
}
