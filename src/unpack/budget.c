#include "unpack/budget.h"

#include <inttypes.h>

#include "base/clock.h"

#define TELL_US 100000

/* Asked for each block and each entry, so that a sign of life comes whatever takes long. */
static int tell(struct budget *b, struct error **err)
{
    int64_t now = clock_monotonic_us();

    if (now < b->tell_at_us)
        return 0;
    b->tell_at_us = now + TELL_US;
    return b->tell(b->arg, b->bytes, b->files, err);
}

static bool exceeds_ratio(const struct budget *b, uint64_t bytes)
{
    return b->limits->ratio && bytes > RATIO_FREE && bytes / b->limits->ratio > b->archive_bytes;
}

int budget_bytes(struct budget *b, uint64_t n, struct error **err)
{
    if (n > b->limits->bytes - b->bytes)
        return error_set(err, REASON_REQUEST_TOO_LARGE,
                         "unpacked it is more than the %" PRIu64 " bytes that are allowed", b->limits->bytes);
    if (exceeds_ratio(b, b->bytes + n))
        return error_set(err, REASON_REQUEST_TOO_LARGE,
                         "unpacked it is more than %u times as large as the archive: it looks made to fill the disk",
                         b->limits->ratio);
    b->bytes += n;
    return tell(b, err);
}

static int count(struct budget *b, uint64_t *counter, struct error **err)
{
    if (*counter >= b->limits->entries)
        return error_set(err, REASON_REQUEST_TOO_LARGE, "it holds more than the %u files and folders that are allowed",
                         b->limits->entries);
    ++*counter;
    return tell(b, err);
}

int budget_header(struct budget *b, struct error **err)
{
    return count(b, &b->headers, err);
}

int budget_entry(struct budget *b, struct error **err)
{
    return count(b, &b->entries, err);
}
