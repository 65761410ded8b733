/* What tus says in headers: whatever comes, a value that is taken is a plain text, and fits into what was sent. */
#include <stdint.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/text.h"
#include "fuzz/fuzz.h"
#include "server/content/tus.h"

static char *next_line(struct str *rest)
{
    struct str line;

    return str_split(rest, '\n', &line) ? xstrndup(line.p, line.n) : NULL;
}

static void read_metadata(const char *text, const char *wanted)
{
    char *value = NULL;

    if (tus_metadata(text, wanted, &value, NULL) < 0) {
        if (value)
            abort();
        return;
    }
    if (value && (text == NULL || strlen(value) > strlen(text) || !text_is_plain(str_from(value), "\n\t")))
        abort();
    free(value);
}

/* Three lines: a number, metadata, a checksum. */
void fuzz_one(const uint8_t *bytes, size_t size)
{
    struct str rest = {(const char *)bytes, size};
    _cleanup_free_ char *number = next_line(&rest), *metadata = next_line(&rest), *checksum = next_line(&rest);
    struct tus_checksum sum;
    uint64_t n;

    if (tus_number(number, "Upload-Offset", &n, NULL) == 0 && (number == NULL || n > INT64_MAX))
        abort();
    read_metadata(metadata, "filename");
    read_metadata(metadata, "description");
    if (tus_checksum(checksum, &sum, NULL) == 0 &&
        ((sum.digest == NULL) != (checksum == NULL) || sum.n > sizeof(sum.sum)))
        abort();
}
