/* Query strings: whatever comes, names and values are C strings no longer than what they were made of. */
#include <stdint.h>
#include <stdlib.h>

#include "fuzz/fuzz.h"
#include "http/query.h"

void fuzz_one(const uint8_t *data, size_t size)
{
    _cleanup_arena_ struct arena *a = arena_new();
    struct str rest = {(const char *)data, size};
    struct query_parameter p;
    size_t n = 0;

    while (query_next(&rest, a, &p))
        n += strlen(p.name) + strlen(p.value);
    if (n > size)
        abort();
}
