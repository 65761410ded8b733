#include "runner/engine/image_inflate.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/io.h"

#define BLOCK (1 << 16)

static void free_reader(struct archive **a)
{
    archive_read_free(*a);
}

static int cannot_read(struct archive *a, struct error **err)
{
    const char *why = archive_error_string(a);
    return error_set(err, REASON_INVALID, "cannot be decompressed: %s", why ? why : "no reason given");
}

static int copy_out(struct archive *a, int out, struct error **err)
{
    char block[BLOCK];
    ssize_t n;

    while ((n = archive_read_data(a, block, sizeof(block))) > 0)
        if (write_all(out, block, (size_t)n, err) < 0)
            return error_wrap(err, "decompressing");
    return n < 0 ? cannot_read(a, err) : 0;
}

int image_archive_inflate(int file, struct error **err)
{
    const char *folder = getenv("TMPDIR");
    _cleanup_(free_reader) struct archive *a = archive_read_new();
    struct archive_entry *entry;

    archive_read_support_filter_gzip(a);
    archive_read_support_filter_bzip2(a);
    archive_read_support_filter_xz(a);
    archive_read_support_filter_zstd(a);
    archive_read_support_format_raw(a);
    if (archive_read_open_fd(a, file, BLOCK) != ARCHIVE_OK || archive_read_next_header(a, &entry) != ARCHIVE_OK)
        return cannot_read(a, err);
    if (archive_filter_code(a, 0) == ARCHIVE_FILTER_NONE)
        return fcntl(file, F_DUPFD_CLOEXEC, 0);
    _cleanup_close_ int out = open(folder ? folder : "/var/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (out < 0)
        return error_errno(err, errno, "a file in %s", folder ? folder : "/var/tmp");
    if (copy_out(a, out, err) < 0)
        return -1;
    return steal_fd(out);
}
