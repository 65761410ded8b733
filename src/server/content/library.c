#include "server/content/library.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/io.h"
#include "base/thread.h"

/* As before a start of an environment (runner/engine/disk.c): of a small disk a twentieth part. */
#define SMALL_PART 20
/* Texts and tables shrink to a tenth. */
#define UNPACKED_FACTOR 10

void library_init(struct library *l)
{
    pthread_mutex_init(&l->lock, NULL);
    l->shelf = (struct shelf){-1, -1};
}

void library_close(struct library *l)
{
    if (l->open)
        shelf_close(&l->shelf);
    l->open = false;
    pthread_mutex_destroy(&l->lock);
}

/* Other users' programs read what is in it, and nobody but its owner opens `.open-hydra`. */
static int make_uploads(const struct shelf *s, struct error **err)
{
    if (mkdirat(s->own, "uploads", 0700) < 0 && errno != EEXIST)
        return error_errno(err, errno, "make its folder of uploads");
    return 0;
}

/* What is uploaded gets a name in it. */
static int may_write(const struct library *l, struct error **err)
{
    return faccessat(l->shelf.base, ".", W_OK | X_OK, AT_EACCESS) < 0
               ? error_errno(err, errno, "user %u may not write in it", (unsigned)geteuid())
               : 0;
}

int library_open(struct library *l, struct error **err)
{
    LOCK_SCOPE(&l->lock);
    if (l->open)
        return 0;
    if (shelf_open(&l->shelf, l->path, err) < 0)
        return error_wrap(err, "nothing can be uploaded into %s (%s)", l->path, l->key);
    if (may_write(l, err) < 0 || make_uploads(&l->shelf, err) < 0) {
        shelf_close(&l->shelf);
        return error_wrap(err, "nothing can be uploaded into %s (%s)", l->path, l->key);
    }
    l->open = true;
    return 0;
}

uint64_t library_room(const struct library *l)
{
    struct statvfs st;

    if (fstatvfs(l->shelf.own, &st) < 0)
        return 0;
    uint64_t size = (uint64_t)st.f_blocks * st.f_frsize, available = (uint64_t)st.f_bavail * st.f_frsize;
    uint64_t kept = l->reserve_bytes < size / SMALL_PART ? l->reserve_bytes : size / SMALL_PART;
    return available > kept ? available - kept : 0;
}

int library_has_room(const struct library *l, uint64_t more, struct error **err)
{
    uint64_t room = library_room(l);

    if (more <= room)
        return 0;
    return error_set(err, REASON_INSUFFICIENT_STORAGE,
                     "the disk of %s is full: %.1f MiB are wanted and %.1f MiB free, besides what is kept "
                     "(minimumFreeDisk); `open-hydra-server usage` says who has how much",
                     l->path, (double)more / 1048576, (double)room / 1048576);
}

uint64_t library_unpacked_max(const struct library *l)
{
    uint64_t max = l->max_bytes > UINT64_MAX / UNPACKED_FACTOR ? UINT64_MAX : l->max_bytes * UNPACKED_FACTOR;
    uint64_t room = library_room(l);

    return max < room ? max : room;
}
