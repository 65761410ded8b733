/* Forms: whatever comes, however it is cut, the same parts come of it, and no more bytes than were sent. */
#include <stdint.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "fuzz/fuzz.h"
#include "support/form_text.h"

/* The first line is the media type, its first byte the size of a piece. */
void fuzz_one(const uint8_t *bytes, size_t size)
{
    struct str rest = {(const char *)bytes, size}, line;
    struct buffer whole = BUFFER_MAX(1 << 24), cut = BUFFER_MAX(1 << 24);

    if (size < 2 || !str_split(&rest, '\n', &line) || line.n < 2)
        return;
    size_t piece = (unsigned char)line.p[0] ? (unsigned char)line.p[0] : 1;
    _cleanup_free_ char *type = xstrndup(line.p + 1, line.n - 1);
    int a = form_text(type, rest.p ? rest.p : "", rest.n, rest.n + 1, &whole, NULL);
    int b = form_text(type, rest.p ? rest.p : "", rest.n, piece, &cut, NULL);
    if (a != b || (a == 0 && !str_equal(buffer_str(&whole), buffer_str(&cut))))
        abort();
    buffer_free(&whole);
    buffer_free(&cut);
}
