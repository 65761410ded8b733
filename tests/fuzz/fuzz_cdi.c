#include <stdlib.h>
#include <string.h>

#include "fuzz/fuzz.h"
#include "runner/gpu/cdi.h"

/* Whatever lies in /etc/cdi: what is taken of it goes to the engine as VENDOR/CLASS=NAME, of the characters that the
 * format allows alone. */
static void check(const char *text, const char *more)
{
    for (; *text; text++)
        if (!ascii_isalnum(*text) && strchr("-_.:", *text) == NULL && strchr(more, *text) == NULL)
            abort();
}

void fuzz_one(const uint8_t *data, size_t size)
{
    _cleanup_arena_ struct arena *a = arena_new();
    struct cdi_file f;

    if (cdi_read(a, (struct str){(const char *)data, size}, &f, NULL) < 0)
        return;
    check(f.kind, "/");
    for (size_t i = 0; i < f.devices_len; i++)
        check(f.devices[i], "");
}
