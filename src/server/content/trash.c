#include "server/content/trash.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "base/io.h"
#include "base/random.h"

/* Deeper folders are moved up into the trash, as each level costs a descriptor. */
#define DEEP 32

static int put(int trash, int folder, const char *name)
{
    char unique[24];
    uint64_t number;
    int rc;

    do {
        random_bytes(&number, sizeof(number));
        snprintf(unique, sizeof(unique), "%016" PRIx64, number);
        rc = renameat2(folder, name, trash, unique, RENAME_NOREPLACE);
    } while (rc < 0 && errno == EEXIST);
    return rc < 0 && errno != ENOENT ? -1 : 0;
}

int trash_put(const struct shelf *s, int folder, const char *name, struct error **err)
{
    _cleanup_close_ int trash = shelf_open_folder(s->own, "trash");

    if (trash < 0)
        return error_errno(err, errno, "open the trash");
    return put(trash, folder, name) < 0 ? error_errno(err, errno, "put %s into the trash", name) : 0;
}

/* --- Removing --- */

struct sweep {
    int trash;
    bool (*going)(void *arg);
    void *arg;
    unsigned removed;
};

enum { STOPPED = 1 };

static int remove_entry(struct sweep *s, int folder, const char *name, unsigned depth, struct error **err);

static int remove_content(struct sweep *s, DIR *d, unsigned depth, struct error **err)
{
    struct dirent *e;
    int rc = 0;

    rewinddir(d);
    while (rc == 0 && (e = readdir(d)))
        if (!is_dots(e->d_name))
            rc = remove_entry(s, dirfd(d), e->d_name, depth, err);
    return rc;
}

/* Whether a list of a folder that changes meanwhile is complete is each file system's own matter: as long as something
 * goes, it is read again. */
static int empty_folder(struct sweep *s, int folder, const char *name, DIR *d, unsigned depth, struct error **err)
{
    for (;;) {
        unsigned before = s->removed;
        int rc = remove_content(s, d, depth, err);
        if (rc != 0)
            return rc;
        if (unlinkat(folder, name, AT_REMOVEDIR) == 0 || errno == ENOENT) {
            s->removed++;
            return 0;
        }
        if (errno != ENOTEMPTY || s->removed == before)
            return error_errno(err, errno, "remove folder %s", name);
    }
}

static int remove_folder(struct sweep *s, int folder, const char *name, unsigned depth, struct error **err)
{
    int fd = shelf_open_folder(folder, name);
    DIR *d = fd >= 0 ? fdopendir(fd) : NULL;

    if (d == NULL) {
        int number = errno;
        if (fd >= 0)
            close(fd);
        return number == ENOENT ? 0 : error_errno(err, number, "open folder %s", name);
    }
    int rc = empty_folder(s, folder, name, d, depth, err);
    closedir(d);
    return rc;
}

static int remove_entry(struct sweep *s, int folder, const char *name, unsigned depth, struct error **err)
{
    if (s->going && !s->going(s->arg))
        return STOPPED;
    if (unlinkat(folder, name, 0) == 0) {
        s->removed++;
        return 0;
    }
    if (errno == ENOENT)
        return 0;
    if (errno != EISDIR)
        return error_errno(err, errno, "remove %s", name);
    if (depth < DEEP)
        return remove_folder(s, folder, name, depth + 1, err);
    if (put(s->trash, folder, name) < 0)
        return error_errno(err, errno, "move %s", name);
    s->removed++;
    return 0;
}

/* What cannot be removed does not keep the rest. */
static int sweep_once(struct sweep *s, DIR *d, struct error **err)
{
    struct dirent *e;
    int rc = 0;

    rewinddir(d);
    while (rc != STOPPED && (e = readdir(d))) {
        struct error *why = NULL;
        if (is_dots(e->d_name))
            continue;
        int one = remove_entry(s, s->trash, e->d_name, 0, &why);
        if (one < 0 && rc == 0 && err && *err == NULL)
            *err = steal_ptr(why);
        error_free(why);
        rc = one == 0 ? rc : one;
    }
    return rc;
}

int trash_sweep(const struct shelf *s, bool (*going)(void *arg), void *arg, struct error **err)
{
    struct sweep sweep = {.trash = shelf_open_folder(s->own, "trash"), .going = going, .arg = arg};
    DIR *d = sweep.trash >= 0 ? fdopendir(sweep.trash) : NULL;
    struct error *why = NULL;
    unsigned before;
    int rc;

    if (d == NULL)
        return error_errno(err, errno, "open the trash");
    do {
        before = sweep.removed;
        error_free(steal_ptr(why));
        rc = sweep_once(&sweep, d, &why);
    } while (rc != STOPPED && sweep.removed != before);
    closedir(d);
    if (err)
        *err = why;
    else
        error_free(why);
    return why ? -1 : 0;
}
