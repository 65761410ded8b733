#include "server/identity/revoked.h"

#include <errno.h>
#include <pthread.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/arena.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/log.h"
#include "base/map.h"
#include "base/thread.h"
#include "server/identity/certificate_identity.h"

#define FILE_MAX ((size_t)1 << 20)

struct revoked {
    pthread_mutex_t lock;
    char *path;
    int64_t look_every_us, look_at_us;
    struct stat seen; /* st_ino 0: no file */
    bool unreadable;
    struct map *serials; /* values are a mere mark */
};

struct revoked *revoked_new(const char *path, int64_t look_every_us)
{
    struct revoked *r = xcalloc(1, sizeof(*r));
    pthread_mutex_init(&r->lock, NULL);
    r->path = xstrdup(path);
    r->look_every_us = look_every_us;
    r->serials = map_new();
    return r;
}

void revoked_free(struct revoked *r)
{
    if (r == NULL)
        return;
    map_free(r->serials, NULL);
    pthread_mutex_destroy(&r->lock);
    free(r->path);
    free(r);
}

static bool same_file(const struct stat *a, const struct stat *b)
{
    return a->st_ino == b->st_ino && a->st_size == b->st_size && a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
           a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

static void read_serials(struct map *serials, struct str text)
{
    _cleanup_arena_ struct arena *arena = arena_new();
    struct str line;

    while (str_split(&text, '\n', &line)) {
        line = str_trim(line);
        const char *serial = serial_normal(arena, line);
        if (serial)
            map_set(serials, str_from(serial), serials);
        else if (line.n)
            log_warning("a line of the revoked certificates is no serial number: %.*s", (int)line.n, line.p);
    }
}

/* Tried again with the next look, said once. */
static void set_unreadable(struct revoked *r, const char *why)
{
    if (!r->unreadable)
        log_error("no client certificate is accepted: %s", why);
    r->unreadable = true;
    r->seen = (struct stat){0};
}

static void reload_revoked(struct revoked *r)
{
    _cleanup_error_ struct error *error = NULL;
    size_t n = 0;
    _cleanup_free_ char *text = read_file(r->path, FILE_MAX, &n, &error);

    if (text == NULL) {
        set_unreadable(r, error->message);
        return;
    }
    r->unreadable = false;
    map_free(r->serials, NULL);
    r->serials = map_new();
    read_serials(r->serials, (struct str){text, n});
}

static void refresh_revoked(struct revoked *r)
{
    struct stat now = {0};
    int64_t moment = clock_monotonic_us();

    if (moment < r->look_at_us)
        return;
    r->look_at_us = moment + r->look_every_us;
    if (stat(r->path, &now) < 0 && errno != ENOENT) {
        _cleanup_error_ struct error *error = NULL;
        error_errno(&error, errno, "%s", r->path);
        set_unreadable(r, error->message);
        return;
    }
    /* A file that was there and has gone takes nothing back: serials stay revoked until the server starts anew. */
    if (now.st_ino == 0) {
        r->unreadable = false;
        return;
    }
    if (same_file(&now, &r->seen))
        return;
    r->seen = now;
    reload_revoked(r);
}

bool revoked_has(struct revoked *r, const char *serial)
{
    LOCK_SCOPE(&r->lock);
    refresh_revoked(r);
    return r->unreadable || map_get(r->serials, str_from(serial));
}
