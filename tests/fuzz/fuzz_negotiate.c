/* Accept headers, and the tokens of lists in pages: both come from whoever asks. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "fuzz/fuzz.h"
#include "server/api/continue.h"
#include "server/api/negotiate.h"

void fuzz_one(const uint8_t *data, size_t size)
{
    _cleanup_free_ char *text = xstrndup((const char *)data, size);
    _cleanup_free_ char *after = NULL;
    uint64_t revision;

    if (negotiate(text) > REPRESENT_METADATA)
        abort();
    negotiate_accepts(text, "text/plain");
    if (continue_decode(text, &revision, &after, NULL) < 0)
        return;
    /* What was understood is understood again. */
    _cleanup_free_ char *again = continue_encode(revision, after);
    _cleanup_free_ char *twice = NULL;
    uint64_t same;
    if (continue_decode(again, &same, &twice, NULL) < 0 || same != revision || strcmp(twice, after) != 0)
        abort();
}
