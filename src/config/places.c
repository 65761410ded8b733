/* Which folders may not be those that the configuration names: what environments are given to see or to write must be
 * nothing of ours and nothing of the system's, and what we own (and close to others) must be no folder of everybody's.
 */
#include <stdlib.h>

#include "base/alloc.h"
#include "base/str.h"
#include "config/places.h"

/* Nothing of these, nothing in them, nothing around them. */
static const char *const closed[] = {"/etc",
                                     "/root",
                                     "/proc",
                                     "/sys",
                                     "/dev",
                                     "/boot",
                                     "/usr/bin",
                                     "/usr/sbin",
                                     "/usr/lib",
                                     "/run/systemd",
                                     "/run/user",
                                     "/run/podman",
                                     "/run/containers",
                                     "/run/docker.sock",
                                     "/var/lib/containers",
                                     "/var/lib/docker",
                                     "/var/lib/containerd"};
/* Made to begin homes with. */
#define SYSTEM_SKELETON "/etc/skel"
/* Not these, but what is in them. */
static const char *const common[] = {"/", "/home", "/tmp", "/var/tmp"};

enum folder_role { OWN, HOMES, SHARED };

struct folder {
    const char *key;
    enum folder_role role;
    char *path; /* without links; NULL: not set */
};

enum { DATA, RUNTIME, WORKSPACE, JUPYTER, VSCODE, DATASETS, COURSES, WHEELS, SKELETON, FOLDERS };

/* `folder` is never / itself: that is refused before it is compared with any other. */
static bool path_is_in(const char *path, const char *folder)
{
    size_t n = strlen(folder);

    return strncmp(path, folder, n) == 0 && (path[n] == '\0' || path[n] == '/');
}

static bool paths_overlap(const char *a, const char *b)
{
    return path_is_in(a, b) || path_is_in(b, a);
}

/* What does not exist is taken as it is written, without empty and «.» parts. */
static char *append_parts(char *head, const char *rest)
{
    struct str all = str_from(rest), part;
    char *out = streq(head, "/") ? xstrdup("") : xstrdup(head);

    free(head);
    while (str_split(&all, '/', &part)) {
        if (part.n == 0 || str_is(part, "."))
            continue;
        char *longer = xasprintf("%s/%.*s", out, (int)part.n, part.p);
        free(out);
        out = longer;
    }
    if (*out)
        return out;
    free(out);
    return xstrdup("/");
}

/* Without links as far as it exists. */
static char *resolve_links(const char *path)
{
    _cleanup_free_ char *head = xstrdup(path);
    char *cut;

    for (;;) {
        char *real = realpath(*head ? head : "/", NULL);
        if (real)
            return append_parts(real, path + strlen(head));
        if ((cut = strrchr(head, '/')) == NULL)
            return xstrdup(path);
        *cut = '\0';
    }
}

static int refuse_folder(const struct folder *f, const char *given, const char *other, const char *whose,
                         struct error **err)
{
    bool same = streq(f->path, other);

    return error_set(err, REASON_INVALID, "%s: %s %s %s%s%s: %s", f->key, given,
                     same                         ? "is"
                     : path_is_in(f->path, other) ? "lies in"
                                                  : "contains",
                     other, *whose ? ", " : "", whose,
                     f->role == OWN ? "that folder is closed to others, and must be one of its own"
                                    : "environments must not get that");
}

static int check_system(const struct folder *f, const char *given, struct error **err)
{
    if (f->role == SHARED && streq(f->path, SYSTEM_SKELETON))
        return 0;
    for (size_t i = 0; i < ARRAY_SIZE(common); i++)
        if (streq(f->path, common[i]))
            return refuse_folder(f, given, common[i], "", err);
    for (size_t i = 0; i < ARRAY_SIZE(closed); i++)
        if (f->role == OWN ? path_is_in(closed[i], f->path) : paths_overlap(f->path, closed[i]))
            return refuse_folder(f, given, closed[i], "", err);
    return 0;
}

/* Where an ordinary user's Podman keeps images and containers, and where the configured socket lies. */
static int check_engine(const struct config *c, const struct folder *f, const char *given, struct error **err)
{
    const char *state = getenv("XDG_DATA_HOME"), *home = getenv("HOME");
    _cleanup_free_ char *store = state && *state ? xasprintf("%s/containers", state)
                                                 : xasprintf("%s/.local/share/containers", home ? home : "/root");
    _cleanup_free_ char *real = resolve_links(store);

    if (f->role != OWN && paths_overlap(f->path, real))
        return refuse_folder(f, given, real, "the engine's storage", err);
    if (f->role != OWN && c->engine_socket && path_is_in(c->engine_socket, f->path))
        return refuse_folder(f, given, c->engine_socket, "engineSocket", err);
    return 0;
}

/* Homes, data sets and courses each have one folder of DATA. */
static const char *const in_data[FOLDERS] = {
    [WORKSPACE] = PLACE_WORKSPACE, [DATASETS] = PLACE_DATASETS, [COURSES] = PLACE_COURSES};

/* They may be in it; the two bases of homes may be the same. */
static bool may_overlap(const struct folder *all, const struct folder *f, const struct folder *other)
{
    if (f->role == SHARED && other->role == SHARED)
        return true;
    if (f->role == HOMES && other->role == HOMES)
        return streq(f->path, other->path) && f != &all[WORKSPACE] && other != &all[WORKSPACE];
    if (other == &all[DATA] && in_data[f - all]) {
        _cleanup_free_ char *ours = xasprintf("%s/%s", all[DATA].path, in_data[f - all]);
        return path_is_in(f->path, ours);
    }
    return false;
}

static int check_against_others(const struct folder *all, const struct folder *f, const char *given, struct error **err)
{
    for (size_t i = 0; i < FOLDERS; i++) {
        const struct folder *other = &all[i];
        if (other == f || other->path == NULL || f->role == OWN || !paths_overlap(f->path, other->path) ||
            may_overlap(all, f, other))
            continue;
        return refuse_folder(f, given, other->path, other->key, err);
    }
    return 0;
}

static int check_alone(const struct config *c, const struct folder *f, const char *given, struct error **err)
{
    if (strstr(f->path, "/../") || ends_with(f->path, "/.."))
        return error_set(err, REASON_INVALID, "%s: %s must not go up by \"..\"", f->key, given);
    return check_system(f, given, err) < 0 || check_engine(c, f, given, err) < 0 ? -1 : 0;
}

static bool follows_data(const struct folder *all, const struct folder *f)
{
    _cleanup_free_ char *ours = in_data[f - all] ? xasprintf("%s/%s", all[DATA].path, in_data[f - all]) : NULL;

    return streq(f->path, ours);
}

static int check_all(const struct config *c, struct folder all[static FOLDERS], const char *const given[static FOLDERS],
                     struct error **err)
{
    for (size_t i = 0; i < FOLDERS; i++)
        all[i].path = given[i] ? resolve_links(given[i]) : NULL;
    for (size_t i = 0; i < FOLDERS; i++)
        if (all[i].path && check_alone(c, &all[i], given[i], err) < 0)
            return -1;
    /* What is named is the key that somebody wrote, rather than a folder that follows DATA. */
    for (int following = 0; following < 2; following++)
        for (size_t i = FOLDERS; i-- > 0;)
            if (all[i].path && follows_data(all, &all[i]) == (bool)following &&
                check_against_others(all, &all[i], given[i], err) < 0)
                return -1;
    return 0;
}

int places_check(const struct config *c, struct error **err)
{
    struct folder all[FOLDERS] = {
        [DATA] = {"dataDirectory", OWN, NULL},        [RUNTIME] = {"runtimeDirectory", OWN, NULL},
        [WORKSPACE] = {"workspacePath", HOMES, NULL}, [JUPYTER] = {"jupyterLabHostBaseDir", HOMES, NULL},
        [VSCODE] = {"vscodeBasePath", HOMES, NULL},   [DATASETS] = {"datasetBasePath", SHARED, NULL},
        [COURSES] = {"courseBasePath", SHARED, NULL}, [WHEELS] = {"pipFindLinks", SHARED, NULL},
        [SKELETON] = {"homeSkeleton", SHARED, NULL},
    };
    const char *const given[FOLDERS] = {
        [DATA] = c->data,
        [RUNTIME] = c->runtime,
        [WORKSPACE] = c->workspace_path,
        [JUPYTER] = c->jupyter_lab_base,
        [VSCODE] = c->vscode_base,
        [DATASETS] = c->dataset_path,
        [COURSES] = c->course_path,
        [WHEELS] = c->pip_find_links,
        [SKELETON] = c->home_skeleton,
    };
    int rc = check_all(c, all, given, err);

    for (size_t i = 0; i < FOLDERS; i++)
        free(all[i].path);
    return rc;
}
