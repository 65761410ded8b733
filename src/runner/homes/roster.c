#include "runner/homes/roster.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/beneath.h"
#include "base/clock.h"
#include "base/io.h"

const char *home_kind_folder(enum home_kind kind)
{
    static const char *const folders[] = {[HOME_PRESENT] = "",
                                          [HOME_KEPT] = HOMES_OWN_FOLDER "/" KEPT_FOLDER "/",
                                          [HOME_REMOVED] = HOMES_OWN_FOLDER "/" REMOVED_FOLDER "/"};
    return folders[kind];
}

const char *home_entry_path(struct arena *a, const struct home_entry *e)
{
    return arena_printf(a, "%s/%s%s", e->place->path, home_kind_folder(e->kind), e->name);
}

/* --- One home --- */

static struct home_entry *new_entry(struct roster *r)
{
    if (r->n == r->max) {
        struct home_entry *more = arena_alloc(r->arena, (r->max * 2 + 64) * sizeof(*more));
        if (r->n)
            memcpy(more, r->list, r->n * sizeof(*more));
        r->list = more;
        r->max = r->max * 2 + 64;
    }
    return &r->list[r->n++];
}

static void read_present(struct roster *r, int parent, struct home_entry *e)
{
    struct home_record record;
    char since[TIMESTAMP_SIZE];

    e->user = e->name;
    if (record_read(parent, e->name, &record, NULL) <= 0)
        return;
    timestamp(since, record.since_us);
    e->uid = arena_strdup(r->arena, record.uid);
    e->since = arena_strdup(r->arena, since);
}

/* 20261128T083000Z as all other times. */
static const char *plain_date(struct arena *a, struct str d)
{
    return arena_printf(a, "%.4s-%.2s-%.2sT%.2s:%.2s:%.2sZ", d.p, d.p + 4, d.p + 6, d.p + 9, d.p + 11, d.p + 13);
}

static void read_kept(struct roster *r, struct home_entry *e)
{
    struct kept_name k;

    e->user = e->name;
    if (!kept_parse(e->name, &k))
        return;
    e->user = arena_str(r->arena, k.user).p;
    e->uid = str_is(k.uid, KEPT_UNKNOWN) ? "" : arena_str(r->arena, k.uid).p;
    e->since = plain_date(r->arena, k.date);
}

static void add_entry(struct roster *r, const struct homes_place *place, enum home_kind kind, int parent, int folder,
                      const char *name)
{
    struct stat st;

    if (fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISDIR(st.st_mode))
        return;
    struct home_entry *e = new_entry(r);
    *e = (struct home_entry){.place = place, .kind = kind, .uid = "", .since = "", .owner = st.st_uid};
    e->name = arena_strdup(r->arena, name);
    e->id = arena_printf(r->arena, "%s/%s", place->sandbox, name);
    if (kind == HOME_PRESENT)
        read_present(r, parent, e);
    else
        read_kept(r, e);
}

/* --- Folders of them --- */

static void read_folder(struct roster *r, const struct homes_place *place, enum home_kind kind, int parent)
{
    const char *path = home_kind_folder(kind);
    int fd = open_beneath(parent, *path ? path : ".", O_RDONLY | O_DIRECTORY, 0);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    const struct dirent *e;

    while (d && (e = readdir(d)))
        if (e->d_name[0] != '.')
            add_entry(r, place, kind, parent, dirfd(d), e->d_name);
    if (d)
        closedir(d);
}

static int read_place(struct roster *r, const struct homes_place *place, struct error **err)
{
    _cleanup_close_ int parent = open(place->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (parent < 0)
        return errno == ENOENT ? 0 : error_errno(err, errno, "open %s", place->path);
    read_folder(r, place, HOME_PRESENT, parent);
    read_folder(r, place, HOME_KEPT, parent);
    read_folder(r, place, HOME_REMOVED, parent);
    return 0;
}

static bool lies_elsewhere(const struct homes_config *c, const char *sandbox)
{
    for (size_t i = 0; i < c->named_len; i++)
        if (streq(c->named[i].sandbox, sandbox))
            return true;
    return false;
}

static int read_workspace(struct roster *r, const struct homes_config *c, struct error **err)
{
    DIR *d = opendir(c->workspace);
    const struct dirent *e;
    int rc = 0;

    if (d == NULL)
        return errno == ENOENT ? 0 : error_errno(err, errno, "open %s", c->workspace);
    while (rc == 0 && (e = readdir(d))) {
        if (!is_dns_subdomain(str_from(e->d_name)) || lies_elsewhere(c, e->d_name))
            continue;
        struct homes_place *place = arena_alloc(r->arena, sizeof(*place));
        *place = (struct homes_place){arena_strdup(r->arena, e->d_name),
                                      arena_printf(r->arena, "%s/%s", c->workspace, e->d_name)};
        rc = read_place(r, place, err);
    }
    closedir(d);
    return rc;
}

static int by_id(const void *a, const void *b)
{
    const struct home_entry *x = a, *y = b;
    int order = strcmp(x->place->sandbox, y->place->sandbox);

    if (order == 0)
        order = strcmp(x->user, y->user);
    return order ? order : strcmp(x->id, y->id);
}

int roster_read(struct roster *r, const struct homes_config *c, struct error **err)
{
    if (read_workspace(r, c, err) < 0)
        return -1;
    for (size_t i = 0; i < c->named_len; i++)
        if (read_place(r, &c->named[i], err) < 0)
            return -1;
    if (r->n > 1)
        qsort(r->list, r->n, sizeof(*r->list), by_id);
    return 0;
}

const struct home_entry *roster_find(const struct roster *r, const char *id, struct error **err)
{
    const struct home_entry *found = NULL;
    size_t n = 0;

    for (size_t i = 0; i < r->n; i++) {
        if (streq(r->list[i].id, id))
            return &r->list[i];
        if (!starts_with(r->list[i].id, id))
            continue;
        found = &r->list[i];
        n++;
    }
    if (n == 1)
        return found;
    if (n)
        (void)error_set(err, REASON_INVALID, "there are %zu homes that begin with %s: say more of it", n, id);
    else
        (void)error_set(err, REASON_NOT_FOUND, "there is no home %s: `open-hydra-server homes list` names them", id);
    return NULL;
}
