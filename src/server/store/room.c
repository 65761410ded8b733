#include "server/store/room.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/io.h"

#define WAL "open-hydra.db-wal"
#define ASIDE "open-hydra.room"
#define WAL_HEADER 32
/* Below it nothing new is taken; on a small disk a thirty-second part. */
#define LOW_BYTES UINT64_C(16777216)
#define LOW_PART 32
/* Of a small disk the room takes no more than an eighth. */
#define ROOM_PART 8
/* What the next start needs before the WAL: the shared index of it. */
#define START_BYTES 262144

void room_open(struct room *r, const char *directory, uint64_t reserve)
{
    *r = (struct room){open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC), reserve};
}

void room_close(struct room *r)
{
    if (r->folder >= 0)
        close(r->folder);
    r->folder = -1;
}

static uint64_t at_most(uint64_t bytes, uint64_t most)
{
    return bytes < most ? bytes : most;
}

static bool look(const struct room *r, uint64_t *bytes, uint64_t *all)
{
    struct statvfs st;

    if (r->folder < 0 || fstatvfs(r->folder, &st) < 0 || st.f_blocks == 0)
        return false;
    *bytes = (uint64_t)st.f_bavail * st.f_frsize;
    *all = (uint64_t)st.f_blocks * st.f_frsize;
    return true;
}

struct room_free room_look(const struct room *r)
{
    uint64_t bytes, all;

    if (!look(r, &bytes, &all))
        return (struct room_free){0};
    return (struct room_free){bytes, at_most(LOW_BYTES, all / LOW_PART)};
}

int room_error(struct room_free f, struct error **err)
{
    return error_set(
        err, REASON_INSUFFICIENT_STORAGE,
        "the disk of the database is full (%.1f MiB free, %.1f MiB wanted): nothing new is kept until there is "
        "room; stopping environments, deleting and logging in go on, and `open-hydra-server usage` says who "
        "has how much",
        (double)f.bytes / 1048576, (double)f.wanted / 1048576);
}

static uint64_t room_size(const struct room *r, uint64_t all)
{
    return at_most(r->reserve, all / ROOM_PART);
}

void room_take(const struct room *r)
{
    static const char none[WAL_HEADER];
    uint64_t bytes, all;

    if (r->folder < 0 || faccessat(r->folder, WAL, F_OK, 0) == 0) {
        /* The last one was not closed: that WAL has its room, maybe under both names. */
        unlinkat(r->folder, ASIDE, 0);
        return;
    }
    _cleanup_close_ int fd = openat(r->folder, ASIDE, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return;
    if (look(r, &bytes, &all) && bytes < START_BYTES && room_size(r, all) > START_BYTES)
        fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)(room_size(r, all) - START_BYTES),
                  START_BYTES);
    /* What it holds was copied back long ago, into a database that may have been replaced since: a WAL without a header
     * is an empty one, and has to be that on the disk before it has the name. */
    if (pwrite(fd, none, sizeof(none), 0) != sizeof(none) || fsync(fd) < 0 ||
        renameat(r->folder, ASIDE, r->folder, WAL) < 0)
        unlinkat(r->folder, ASIDE, 0);
}

void room_keep(const struct room *r)
{
    uint64_t bytes, all;
    struct stat st;
    _cleanup_close_ int fd = r->reserve ? openat(r->folder, WAL, O_RDWR | O_NOFOLLOW | O_CLOEXEC) : -1;

    if (fd < 0 || fstat(fd, &st) < 0 || !look(r, &bytes, &all))
        return;
    uint64_t size = room_size(r, all), held = (uint64_t)st.st_blocks * 512;
    if (held >= size || bytes < size - held + 2 * room_look(r).wanted)
        return;
    /* Not every file system can: then there is what there is. */
    (void)fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, (off_t)size);
}

void room_put_aside(const struct room *r)
{
    if (r->reserve == 0 || r->folder < 0)
        return;
    unlinkat(r->folder, ASIDE, 0);
    (void)(linkat(r->folder, WAL, r->folder, ASIDE, 0) < 0); /* then nothing is put aside */
}
