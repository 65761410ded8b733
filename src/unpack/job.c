#include "unpack/job.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/io.h"
#include "unpack/entry.h"
#include "unpack/kind.h"
#include "unpack/source.h"
#include "unpack/tree.h"

struct job {
    struct archive *archive;
    struct source source;
    const struct names *names;
    struct budget *budget;
    struct tree tree;
};

/* --- Content --- */

static int write_some(int fd, const char *p, size_t n, struct error **err)
{
    while (n) {
        ssize_t done = write(fd, p, n);
        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0 && (errno == ENOSPC || errno == EDQUOT))
            return error_set(err, REASON_INSUFFICIENT_STORAGE, "write: %s", strerror(errno));
        if (done < 0)
            return error_errno(err, errno, "write");
        p += done;
        n -= (size_t)done;
    }
    return 0;
}

static int put(struct job *j, int fd, const void *p, size_t n, struct error **err)
{
    return budget_bytes(j->budget, n, err) < 0 ? -1 : write_some(fd, p, n, err);
}

/* Holes of sparse files are written: whoever reads the content counts them, too. */
static int put_zeros(struct job *j, int fd, uint64_t n, struct error **err)
{
    static const char zeros[64 << 10];

    for (size_t now; n; n -= now) {
        now = n < sizeof(zeros) ? (size_t)n : sizeof(zeros);
        if (put(j, fd, zeros, now, err) < 0)
            return -1;
    }
    return 0;
}

/* Up to where the next piece begins. */
static int fill(struct job *j, int fd, int64_t from, int64_t to, struct error **err)
{
    if (to < from)
        return error_set(err, REASON_BAD_REQUEST, "is damaged: its pieces overlap");
    return put_zeros(j, fd, (uint64_t)(to - from), err);
}

static int copy_data(struct job *j, int fd, struct error **err)
{
    int64_t position = 0, at = 0;
    const void *p;
    size_t n;
    int rc;

    while ((rc = archive_read_data_block(j->archive, &p, &n, &at)) == ARCHIVE_OK) {
        if (fill(j, fd, position, at, err) < 0 || put(j, fd, p, n, err) < 0)
            return -1;
        position = at = at + (int64_t)n;
    }
    if (rc != ARCHIVE_EOF)
        return source_damaged(&j->source, j->archive, err);
    return fill(j, fd, position, at, err);
}

static int write_file(struct job *j, const char *path, mode_t mode, struct error **err)
{
    _cleanup_close_ int fd = tree_file(&j->tree, path, mode, err);

    if (fd < 0 || copy_data(j, fd, err) < 0)
        return -1;
    j->budget->files++;
    return 0;
}

/* --- Entries --- */

/* One whose name the reader could not take over has U+FFFD in it, and the reader warns. */
static bool is_mangled(const char *name, int warned)
{
    return warned && strstr(name, "\xEF\xBF\xBD");
}

static int read_path(struct job *j, const char *name, struct entry_path *path, struct error **err)
{
    bool zip = (archive_format(j->archive) & ARCHIVE_FORMAT_BASE_MASK) == ARCHIVE_FORMAT_ZIP;

    if (names_read(j->names, name, zip, path, err) < 0)
        return -1;
    if (path->depth > j->budget->limits->depth)
        return error_set(err, REASON_REQUEST_TOO_LARGE, "lies in more than %u folders", j->budget->limits->depth);
    return 0;
}

static int take_at(struct job *j, struct archive_entry *e, const struct entry_path *path, struct error **err)
{
    if (names_left_out(path))
        return 0;
    if (entry_check(e, err) < 0)
        return -1;
    if (archive_entry_filetype(e) == AE_IFDIR)
        return tree_folder(&j->tree, path->text, err);
    if (path->depth == 0)
        return error_set(err, REASON_BAD_REQUEST, "is a file without a name");
    return write_file(j, path->text, entry_mode(e), err);
}

/* The error says which one: as it was understood, or as it stands there. */
static int take_entry(struct job *j, struct archive_entry *e, int warned, struct error **err)
{
    struct entry_path path;
    const char *raw = archive_entry_pathname(e);

    if (raw == NULL || raw[0] == '\0' || is_mangled(raw, warned))
        return error_set(err, REASON_BAD_REQUEST, "entry %" PRIu64 " has no name that can be read", j->budget->headers);
    if (read_path(j, raw, &path, err) < 0)
        return error_wrap(err, "entry \"%.300s\"", raw);
    return take_at(j, e, &path, err) < 0 ? error_wrap(err, "entry \"%.300s\"", path.text) : 0;
}

/* An archive in an archive in an archive costs time that no limit on what is written sees. */
static int check_filters(struct archive *a, struct error **err)
{
    bool tar = (archive_format(a) & ARCHIVE_FORMAT_BASE_MASK) == ARCHIVE_FORMAT_TAR;

    /* One of them is the file itself. */
    if (archive_filter_count(a) > (tar ? 2 : 1))
        return error_set(err, REASON_BAD_REQUEST, "is compressed more than once");
    return 0;
}

static int take_entries(struct job *j, struct error **err)
{
    struct archive_entry *e;
    int rc;

    while ((rc = archive_read_next_header(j->archive, &e)) == ARCHIVE_OK || rc == ARCHIVE_WARN)
        if (check_filters(j->archive, err) < 0 || budget_header(j->budget, err) < 0 ||
            take_entry(j, e, rc == ARCHIVE_WARN, err) < 0)
            return -1;
    if (rc != ARCHIVE_EOF)
        return source_damaged(&j->source, j->archive, err);
    return j->budget->headers ? 0 : error_set(err, REASON_BAD_REQUEST, "holds nothing");
}

static int take_archive(struct job *j, struct error **err)
{
    j->archive = source_archive(&j->source);
    if (j->archive == NULL)
        return error_set(err, REASON_INTERNAL, "no reader of archives");
    int rc = archive_read_open1(j->archive) == ARCHIVE_OK ? take_entries(j, err)
                                                          : source_damaged(&j->source, j->archive, err);
    archive_read_free(j->archive);
    return rc;
}

/* --- One file --- */

/* A browser may send the path that it had at home. */
static const char *last_name(const char *name)
{
    for (const char *p = name; *p; p++)
        if (*p == '/' || *p == '\\')
            name = p + 1;
    return name;
}

static int copy_source(struct job *j, int fd, struct error **err)
{
    ssize_t n;

    while ((n = source_read(&j->source)) > 0)
        if (put(j, fd, j->source.block, (size_t)n, err) < 0)
            return -1;
    return n < 0 ? error_errno(err, errno, "read") : 0;
}

static int take_file(struct job *j, const char *name, struct error **err)
{
    struct entry_path path;

    if (names_read(j->names, last_name(name), false, &path, err) < 0)
        return -1;
    if (path.depth == 0)
        return error_set(err, REASON_BAD_REQUEST, "is no name for a file");
    _cleanup_close_ int fd = tree_file(&j->tree, path.text, 0644, err);
    if (fd < 0 || copy_source(j, fd, err) < 0)
        return -1;
    j->budget->files++;
    return 0;
}

int job_run(int archive, const char *name, int folder, const struct names *names, struct budget *budget,
            struct error **err)
{
    _cleanup_free_ struct job *j = xcalloc(1, sizeof(*j));

    j->names = names;
    j->budget = budget;
    if (source_open(&j->source, archive, err) < 0)
        return -1;
    budget->archive_bytes = (uint64_t)j->source.size;
    tree_open(&j->tree, folder, budget);
    int rc = kind_is_archive(name) ? take_archive(j, err) : take_file(j, name, err);
    tree_close(&j->tree);
    return rc < 0 ? error_wrap(err, "\"%.300s\"", name) : 0;
}
