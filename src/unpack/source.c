#include "unpack/source.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/str.h"
#include "unpack/wire.h"

int source_open(struct source *s, int fd, struct error **err)
{
    struct stat st;

    if (fstat(fd, &st) < 0)
        return error_errno(err, errno, "archive");
    if (!S_ISREG(st.st_mode))
        return error_set(err, REASON_INTERNAL, "the archive is no regular file");
    s->fd = fd;
    s->at = 0;
    s->size = st.st_size;
    return 0;
}

ssize_t source_read(struct source *s)
{
    ssize_t n;

    do
        n = pread(s->fd, s->block, sizeof(s->block), s->at);
    while (n < 0 && errno == EINTR);
    if (n > 0)
        s->at += n;
    return n;
}

/* --- For libarchive --- */

static la_ssize_t on_read(struct archive *a, void *arg, const void **block)
{
    struct source *s = arg;
    ssize_t n = source_read(s);

    *block = s->block;
    if (n < 0)
        archive_set_error(a, errno, "read the archive");
    return n;
}

static la_int64_t on_skip(struct archive *a, void *arg, la_int64_t n)
{
    struct source *s = arg;

    if (n > s->size - s->at)
        n = s->size - s->at;
    s->at += n;
    return n;
}

static la_int64_t on_seek(struct archive *a, void *arg, la_int64_t offset, int whence)
{
    struct source *s = arg;
    int64_t from = whence == SEEK_SET ? 0 : whence == SEEK_CUR ? s->at : s->size;

    if (offset > s->size - from || offset < -from) {
        archive_set_error(a, EINVAL, "a place outside of the archive");
        return ARCHIVE_FATAL;
    }
    return s->at = from + offset;
}

/* Of zip its table of contents alone counts, as for everything that opens zips: what another reader would find between
 * the files is not there. */
static int understand(struct archive *a)
{
    int rc = archive_read_support_format_zip_seekable(a);

    rc |= archive_read_support_format_tar(a) | archive_read_support_format_7zip(a);
    rc |= archive_read_support_filter_gzip(a) | archive_read_support_filter_xz(a);
    return rc | archive_read_support_filter_zstd(a) | archive_read_support_filter_bzip2(a);
}

struct archive *source_archive(struct source *s)
{
    struct archive *a = archive_read_new();

    if (a == NULL || understand(a) != ARCHIVE_OK) {
        archive_read_free(a);
        return NULL;
    }
    archive_read_set_read_callback(a, on_read);
    archive_read_set_skip_callback(a, on_skip);
    archive_read_set_seek_callback(a, on_seek);
    archive_read_set_callback_data(a, s);
    return a;
}

static bool begins_as_zip(const struct source *s)
{
    char begin[4];

    return pread(s->fd, begin, sizeof(begin), 0) == (ssize_t)sizeof(begin) && memcmp(begin, "PK\3\4", 4) == 0;
}

int source_damaged(const struct source *s, struct archive *a, struct error **err)
{
    const char *why = archive_error_string(a);

    if (archive_errno(a) == ENOMEM || (why && strstr(why, "memory")))
        return error_set(err, REASON_BAD_REQUEST, "takes more memory to unpack than the %llu MiB that it may have",
                         (unsigned long long)(UNPACK_MEMORY_BYTES >> 20));
    if (why == NULL)
        return error_set(err, REASON_BAD_REQUEST, "is damaged or incomplete");
    if (!starts_with(why, "Unrecognized archive format"))
        return error_set(err, REASON_BAD_REQUEST, "is damaged: %s", why);
    if (begins_as_zip(s))
        return error_set(err, REASON_BAD_REQUEST,
                         "is incomplete: a zip without its table of contents, which is at the end");
    return error_set(err, REASON_BAD_REQUEST, s->size ? "is no archive that is understood (zip, tar, 7z)" : "is empty");
}
