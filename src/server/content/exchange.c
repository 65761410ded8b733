#include "server/content/exchange.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/io.h"
#include "server/content/trash.h"

/* --- Names in versions/NAME --- */

#define ENTRY_SIZE 96

/* A folder on its way into place, as its name says it. */
struct way {
    bool back;
    uint64_t number, former, inode;
};

static void print_way(char out[static ENTRY_SIZE], const struct way *w)
{
    snprintf(out, ENTRY_SIZE, "%s.%" PRIu64 ".%" PRIu64 ".%" PRIu64, w->back ? "back" : "next", w->number, w->former,
             w->inode);
}

static void print_present(char out[static ENTRY_SIZE], uint64_t number)
{
    snprintf(out, ENTRY_SIZE, "present.%" PRIu64, number);
}

static void print_kept(char out[static ENTRY_SIZE], uint64_t number)
{
    snprintf(out, ENTRY_SIZE, "%" PRIu64, number);
}

static bool next_number(struct str *rest, uint64_t *number)
{
    struct str part;
    unsigned long long n;

    if (!str_split(rest, '.', &part) || str_to_u64(part, UINT64_MAX, &n) < 0)
        return false;
    *number = n;
    return true;
}

static bool parse_way(const char *name, struct way *w)
{
    struct str rest = str_from(name), kind;

    if (!str_split(&rest, '.', &kind) || (!str_is(kind, "next") && !str_is(kind, "back")))
        return false;
    w->back = str_is(kind, "back");
    return next_number(&rest, &w->number) && next_number(&rest, &w->former) && next_number(&rest, &w->inode);
}

static bool parse_present(const char *name, uint64_t *number)
{
    struct str rest = str_from(name), kind;

    return str_split(&rest, '.', &kind) && str_is(kind, "present") && next_number(&rest, number) && rest.n == 0;
}

static bool parse_kept(const char *name, uint64_t *number)
{
    unsigned long long n;

    if (str_to_u64(str_from(name), UINT64_MAX, &n) < 0)
        return false;
    *number = n;
    return true;
}

/* --- One NAME --- */

struct place {
    const struct shelf *shelf;
    const char *name;
    int versions; /* the folder versions/NAME */
    uint64_t present;
    char way[ENTRY_SIZE]; /* "": none */
    uint64_t *kept;       /* ascending */
    size_t kept_n;
};

static void place_close(struct place *p)
{
    if (p->versions >= 0)
        close(p->versions);
    free(p->kept);
}

static void note(struct place *p, const char *name)
{
    struct way way;
    uint64_t number;

    if (parse_present(name, &number)) {
        p->present = number;
    } else if (parse_way(name, &way)) {
        snprintf(p->way, sizeof(p->way), "%s", name);
    } else if (parse_kept(name, &number)) {
        p->kept = xreallocarray(p->kept, p->kept_n + 1, sizeof(*p->kept));
        p->kept[p->kept_n++] = number;
    }
}

static int by_number(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

static int look(struct place *p, struct error **err)
{
    int fd = openat(p->versions, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
    struct dirent *e;

    if (d == NULL)
        return error_errno(err, errno, "read the versions of %s", p->name);
    p->present = 0;
    p->way[0] = '\0';
    p->kept_n = 0;
    while ((e = readdir(d)))
        note(p, e->d_name);
    closedir(d);
    if (p->kept_n)
        qsort(p->kept, p->kept_n, sizeof(*p->kept), by_number);
    return 0;
}

/* Where there are no versions: `versions` is -1, and nothing is known of the name. */
static int place_open(struct place *p, const struct shelf *s, const char *name, struct error **err)
{
    assert(name[0] != '.' && strchr(name, '/') == NULL);
    *p = (struct place){.shelf = s, .name = name, .versions = -1};
    _cleanup_close_ int all = shelf_open_folder(s->own, "versions");
    if (all < 0)
        return error_errno(err, errno, "open the versions");
    p->versions = shelf_open_folder(all, name);
    if (p->versions < 0)
        return errno == ENOENT ? 0 : error_errno(err, errno, "open the versions of %s", name);
    return look(p, err);
}

static int place_make(struct place *p, struct error **err)
{
    if (p->versions >= 0)
        return 0;
    _cleanup_close_ int all = shelf_open_folder(p->shelf->own, "versions");
    if (all < 0 || (mkdirat(all, p->name, 0700) < 0 && errno != EEXIST))
        return error_errno(err, errno, "make the versions of %s", p->name);
    p->versions = shelf_open_folder(all, p->name);
    return p->versions < 0 ? error_errno(err, errno, "open the versions of %s", p->name) : 0;
}

static bool is_there(const struct place *p)
{
    struct stat st;

    return fstatat(p->shelf->base, p->name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

static int to_disk(const struct place *p, struct error **err)
{
    if (fsync(p->versions) < 0 || fsync(p->shelf->base) < 0)
        return error_errno(err, errno, "write %s to the disk", p->name);
    return 0;
}

/* --- Settling what is on its way --- */

/* One rename, so that there is never more than one. */
static int set_present(struct place *p, uint64_t number, struct error **err)
{
    char from[ENTRY_SIZE], to[ENTRY_SIZE];

    print_present(from, p->present);
    print_present(to, number);
    if (p->present && renameat(p->versions, from, p->versions, to) < 0)
        return error_errno(err, errno, "note the version of %s", p->name);
    if (!p->present && mknodat(p->versions, to, S_IFREG | 0600, 0) < 0)
        return error_errno(err, errno, "note the version of %s", p->name);
    p->present = number;
    return 0;
}

static int forget_present(struct place *p, struct error **err)
{
    char name[ENTRY_SIZE];

    print_present(name, p->present);
    p->present = 0;
    return unlinkat(p->versions, name, 0) < 0 && errno != ENOENT ? error_errno(err, errno, "forget %s", p->name) : 0;
}

static int keep_as(struct place *p, const char *folder, uint64_t number, struct error **err)
{
    char kept[ENTRY_SIZE];

    print_kept(kept, number);
    if (number == 0)
        return trash_put(p->shelf, p->versions, folder, err);
    if (trash_put(p->shelf, p->versions, kept, err) < 0)
        return -1;
    if (renameat2(p->versions, folder, p->versions, kept, RENAME_NOREPLACE) < 0)
        return error_errno(err, errno, "keep version %s of %s", kept, p->name);
    return 0;
}

/* Whether the exchange has happened says the inode of what has that name. */
static int settle_way(struct place *p, struct error **err)
{
    struct stat st;
    struct way w;

    if (!parse_way(p->way, &w) || fstatat(p->versions, p->way, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return error_errno(err, errno, "look at %s of %s", p->way, p->name);
    if (st.st_ino == w.inode)
        return keep_as(p, p->way, w.back ? w.number : 0, err);
    return set_present(p, w.number, err) < 0 ? -1 : keep_as(p, p->way, w.former, err);
}

static int settle(struct place *p, struct error **err)
{
    if (p->way[0] && (settle_way(p, err) < 0 || look(p, err) < 0))
        return -1;
    return p->present && !is_there(p) ? forget_present(p, err) : 0;
}

/* --- Into place --- */

static int refuse_foreign(const struct place *p, struct error **err)
{
    return error_set(err, REASON_ALREADY_EXISTS,
                     "%s: a folder or file of that name is there already, and was not made by an upload", p->name);
}

/* The first time: known as ours before anybody can see it. */
static int move_in(struct place *p, const struct way *w, struct error **err)
{
    if (set_present(p, w->number, err) < 0 || to_disk(p, err) < 0)
        return -1;
    if (renameat2(p->versions, p->way, p->shelf->base, p->name, RENAME_NOREPLACE) == 0)
        return 0;
    int number = errno;
    if (forget_present(p, err) < 0)
        return -1;
    return number == EEXIST ? refuse_foreign(p, err) : error_errno(err, number, "put %s in place", p->name);
}

static int move(struct place *p, const struct way *w, struct error **err)
{
    if (p->present == 0)
        return move_in(p, w, err);
    if (to_disk(p, err) < 0)
        return -1;
    if (renameat2(p->versions, p->way, p->shelf->base, p->name, RENAME_EXCHANGE) < 0)
        return error_errno(err, errno, "put %s in place", p->name);
    return 0;
}

/* `folder`/`from` becomes BASE/NAME. Whatever happens, what is left on its way is settled. */
static int put_in_place(struct place *p, int folder, const char *from, struct way *w, struct error **err)
{
    struct error *ignored = NULL;
    struct stat st;

    if (fstatat(folder, from, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return error_errno(err, errno, "%s", from);
    if (!S_ISDIR(st.st_mode))
        return error_set(err, REASON_INTERNAL, "%s is no folder", from);
    w->inode = st.st_ino;
    /* The same number again: what is there was never said to be. */
    w->former = p->present == w->number ? 0 : p->present;
    print_way(p->way, w);
    if (renameat2(folder, from, p->versions, p->way, RENAME_NOREPLACE) < 0)
        return error_errno(err, errno, "put %s in place", p->name);
    int rc = move(p, w, err);
    if (look(p, rc < 0 ? &ignored : err) < 0 || settle(p, rc < 0 ? &ignored : err) < 0)
        rc = -1;
    error_free(ignored);
    return rc < 0 ? -1 : to_disk(p, err);
}

static int open_settled(struct place *p, const struct shelf *s, const char *name, struct error **err)
{
    if (place_open(p, s, name, err) < 0)
        return -1;
    return p->versions >= 0 ? settle(p, err) : 0;
}

/* --- Publish --- */

int exchange_stage(const struct shelf *s, const char *id, struct error **err)
{
    _cleanup_close_ int all = shelf_open_folder(s->own, "new");

    assert(id[0] != '.' && strchr(id, '/') == NULL);
    if (all < 0)
        return error_errno(err, errno, "open the folder of new content");
    if (trash_put(s, all, id, err) < 0)
        return -1;
    if (mkdirat(all, id, 0755) < 0)
        return error_errno(err, errno, "make a folder for new content");
    int fd = shelf_open_folder(all, id);
    return fd < 0 ? error_errno(err, errno, "open the folder of new content") : fd;
}

/* Files and their folders. All of the file system: one call for each file would take far longer. */
static int write_out(int all, const char *id, struct error **err)
{
    _cleanup_close_ int fd = shelf_open_folder(all, id);

    if (fd < 0)
        return error_errno(err, errno, "open new content %s", id);
    return syncfs(fd) < 0 ? error_errno(err, errno, "write new content to the disk") : 0;
}

static int prune(struct place *p, unsigned keep, struct error **err)
{
    char name[ENTRY_SIZE];

    for (size_t i = 0; i + keep < p->kept_n; i++) {
        print_kept(name, p->kept[i]);
        if (trash_put(p->shelf, p->versions, name, err) < 0)
            return -1;
    }
    return 0;
}

static int publish(struct place *p, int all, const char *id, uint64_t version, unsigned keep, struct error **err)
{
    struct way w = {.number = version};

    if (p->present == 0 && is_there(p))
        return refuse_foreign(p, err);
    if (place_make(p, err) < 0 || put_in_place(p, all, id, &w, err) < 0)
        return -1;
    return prune(p, keep, err);
}

int exchange_publish(const struct shelf *s, const char *id, const char *name, uint64_t version, unsigned keep,
                     struct error **err)
{
    _cleanup_close_ int all = shelf_open_folder(s->own, "new");
    struct place p;

    assert(version > 0);
    if (all < 0)
        return error_errno(err, errno, "open the folder of new content");
    if (write_out(all, id, err) < 0)
        return -1;
    int rc = open_settled(&p, s, name, err);
    if (rc == 0)
        rc = publish(&p, all, id, version, keep, err);
    place_close(&p);
    return rc;
}

/* --- Roll back, remove --- */

static int roll_back(struct place *p, uint64_t version, struct error **err)
{
    struct way w = {.back = true, .number = version};
    char kept[ENTRY_SIZE];
    bool found = false;

    for (size_t i = 0; i < p->kept_n; i++)
        found |= p->kept[i] == version;
    if (!found)
        return error_set(err, REASON_NOT_FOUND, "version %" PRIu64 " of %s is not kept", version, p->name);
    if (p->present == 0 && is_there(p))
        return refuse_foreign(p, err);
    print_kept(kept, version);
    return put_in_place(p, p->versions, kept, &w, err);
}

int exchange_roll_back(const struct shelf *s, const char *name, uint64_t version, struct error **err)
{
    struct place p;
    int rc = open_settled(&p, s, name, err);

    if (rc == 0)
        rc = roll_back(&p, version, err);
    place_close(&p);
    return rc;
}

static int remove_versions(const struct place *p, struct error **err)
{
    _cleanup_close_ int all = shelf_open_folder(p->shelf->own, "versions");

    if (all < 0)
        return error_errno(err, errno, "open the versions");
    if (trash_put(p->shelf, all, p->name, err) < 0)
        return -1;
    return fsync(all) < 0 ? error_errno(err, errno, "write the versions to the disk") : 0;
}

/* The versions last: as long as they are there, it can be done again. */
static int remove_all(struct place *p, struct error **err)
{
    if (p->versions < 0)
        return 0;
    if (p->present && trash_put(p->shelf, p->shelf->base, p->name, err) < 0)
        return -1;
    return to_disk(p, err) < 0 ? -1 : remove_versions(p, err);
}

int exchange_remove(const struct shelf *s, const char *name, struct error **err)
{
    struct place p;
    int rc = open_settled(&p, s, name, err);

    if (rc == 0)
        rc = remove_all(&p, err);
    place_close(&p);
    return rc;
}

/* --- Looking --- */

bool exchange_is_foreign(const struct shelf *s, const char *name)
{
    struct place p;
    bool foreign = place_open(&p, s, name, NULL) == 0 && p.present == 0 && is_there(&p);

    place_close(&p);
    return foreign;
}

size_t exchange_versions(const struct shelf *s, const char *name, uint64_t *out, size_t max, uint64_t *present)
{
    struct place p;
    size_t n = place_open(&p, s, name, NULL) == 0 ? p.kept_n : 0, from = n > max ? n - max : 0;

    if (n > from)
        memcpy(out, p.kept + from, (n - from) * sizeof(*out));
    *present = p.present;
    place_close(&p);
    return n - from;
}

/* --- At a start --- */

static DIR *open_list(const struct shelf *s, const char *folder, struct error **err)
{
    int fd = shelf_open_folder(s->own, folder);
    DIR *d = fd >= 0 ? fdopendir(fd) : NULL;

    if (d == NULL)
        error_errno(err, errno, "open %s", folder);
    return d;
}

static int recover_versions(const struct shelf *s, struct error **err)
{
    DIR *d = open_list(s, "versions", err);
    struct dirent *e;
    int rc = d ? 0 : -1;

    while (rc == 0 && (e = readdir(d))) {
        struct place p;
        if (e->d_name[0] == '.')
            continue;
        rc = open_settled(&p, s, e->d_name, err);
        place_close(&p);
    }
    if (d)
        closedir(d);
    return rc;
}

static int recover_new(const struct shelf *s, bool (*keep)(void *arg, const char *id), void *arg, struct error **err)
{
    DIR *d = open_list(s, "new", err);
    struct dirent *e;
    int rc = d ? 0 : -1;

    while (rc == 0 && (e = readdir(d)))
        if (e->d_name[0] != '.' && !(keep && keep(arg, e->d_name)))
            rc = trash_put(s, dirfd(d), e->d_name, err);
    if (d)
        closedir(d);
    return rc;
}

int exchange_recover(const struct shelf *s, bool (*keep)(void *arg, const char *id), void *arg, struct error **err)
{
    return recover_versions(s, err) < 0 ? -1 : recover_new(s, keep, arg, err);
}
