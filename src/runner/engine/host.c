#include "runner/engine/host.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/io.h"
#include "base/log.h"
#include "runner/engine/home.h"
#include "runner/engine/hostid.h"
#include "runner/engine/place.h"
#include "runner/engine/storage.h"

struct making {
    struct engine *e;
    struct arena *a;
    struct runtime_spec *spec;
    char place[PLACE_NAME_SIZE];
    struct prepared *out;
    struct home home;
    int home_lock; /* nobody renames the home until it is mounted */
    const char *home_path;
};

static void making_end(struct making *m)
{
    home_close(&m->home);
    if (m->home_lock >= 0)
        close(m->home_lock);
}

/* --- Ids outside --- */

/* Inside Podman's own user namespace, where 0 is who started it and the rest is subordinate: user N inside is N there,
 * at no cost. An image that wants root gets a namespace that begins at 1, for which Podman copies the image once. */
static int take_subordinate(const struct making *m, const struct engine_facts *f, struct error **err)
{
    struct prepared *p = m->out;
    uint32_t run_as = m->spec->run_as;

    p->mapped = run_as == 0;
    p->host_id = p->mapped ? 1 : 0;
    p->host_id_size = f->subordinate_ids;
    if (p->host_id + run_as <= f->subordinate_ids)
        return 0;
    return error_set(err, REASON_INVALID,
                     "user %u of the image needs an id, and Podman has only %u of them (/etc/subuid, /etc/subgid)",
                     run_as, f->subordinate_ids);
}

/* Docker's users end at 2^31 - 1; a user namespace's mapping does not. */
static int check_plain_id(const struct prepared *p, uint32_t run_as, struct error **err)
{
    if (p->mapped || (uint64_t)p->host_id + run_as <= INT32_MAX)
        return 0;
    return error_set(err, REASON_INVALID,
                     "host id %u is above 2147483647, where the engine's users end: set a lower hostIdBase",
                     p->host_id);
}

static int choose_ids(const struct making *m, const struct engine_facts *f, struct error **err)
{
    struct prepared *p = m->out;

    if (f->rootless)
        return take_subordinate(m, f, err);
    p->host_id = m->spec->owner_id;
    p->host_id_size = m->e->config->host_id_size;
    p->mapped = f->seen.user_namespace;
    if (host_id_check(m->e->config, p->host_id, system_subordinate_files, err) < 0)
        return -1;
    return check_plain_id(p, m->spec->run_as, err);
}

static uid_t outside_user(const struct making *m)
{
    return m->out->host_id + m->spec->run_as;
}

static bool listens_on_tcp(const struct runtime_spec *s)
{
    return s->ports[s->ports_len - 1].tcp != 0; /* a socket is the first */
}

/* Not the one as whom it runs itself, who could trace and signal what has its id. */
static int choose_relay(const struct making *m, struct error **err)
{
    struct prepared *p = m->out;

    p->relay = p->host_id + p->host_id_size - 1;
    if (!listens_on_tcp(m->spec) || outside_user(m) < p->relay)
        return 0;
    return error_set(err, REASON_INVALID, "user %u of the image lies outside of the owner's ids, or is their last",
                     m->spec->run_as);
}

/* --- Folders --- */

static void add_mount(const struct making *m, struct mount_point one)
{
    m->out->mounts[m->out->mounts_len++] = one;
}

static char *socket_path(struct engine *e, struct arena *a, const char *place, const char *inside)
{
    return arena_printf(a, "%s/%s%s", e->places, place, strrchr(inside, '/'));
}

static char *port_socket_path(struct engine *e, struct arena *a, const char *place, const char *port)
{
    return arena_printf(a, "%s/%s.sock", place_ports_path(a, e->places, place), port);
}

static int check_socket_path(const char *path, struct error **err)
{
    if (strlen(path) <= SOCKET_PATH_MAX)
        return 0;
    return error_set(err, REASON_INVALID, "%s is longer than the %d bytes of a socket's path", path, SOCKET_PATH_MAX);
}

/* The folder of the sockets that the runner makes for ports on TCP is root's, and no mount of the container's. */
static int make_ports_folder(const struct making *m, struct error **err)
{
    const struct place_options o = {m->e->places, m->place, geteuid(), m->e->gateway_gid};

    for (size_t i = 0; i < m->spec->ports_len; i++) {
        if (m->spec->ports[i].tcp == 0)
            continue;
        m->out->sockets[i] = port_socket_path(m->e, m->a, m->place, m->spec->ports[i].name);
        if (check_socket_path(m->out->sockets[i], err) < 0)
            return -1;
    }
    return listens_on_tcp(m->spec) ? place_ensure_ports(&o, err) : 0;
}

static int make_socket_folder(const struct making *m, struct error **err)
{
    const char *inside = m->spec->ports[0].socket, *slash = inside ? strrchr(inside, '/') : NULL;
    struct place_options o = {m->e->places, m->place, outside_user(m), m->e->gateway_gid};

    if (inside == NULL)
        return 0;
    m->out->sockets[0] = socket_path(m->e, m->a, m->place, inside);
    if (check_socket_path(m->out->sockets[0], err) < 0)
        return -1;
    /* What a container before this one left in it must not be taken for this one's. */
    if (place_remove_socket(m->e->places, m->place, err) < 0 || place_ensure_socket(&o, err) < 0)
        return -1;
    add_mount(m, (struct mount_point){arena_printf(m->a, "%s/%s", m->e->places, m->place),
                                      arena_strndup(m->a, inside, (size_t)(slash - inside)), false, false});
    return 0;
}

/* The original kept the files of its two images where the configuration says it. NULL: by sandbox. */
static const char *own_base(const struct config *c, const char *sandbox)
{
    if (streq(sandbox, "vscode"))
        return c->vscode_base;
    return streq(sandbox, "jupyter-lab") ? c->jupyter_lab_base : NULL;
}

/* Saving a notebook answers 500 without it. */
#define JUPYTER_FOLDER ".local/share/jupyter"

/* What is mounted into the home is mounted on folders of the owner's: the engine would make them, as root. */
static size_t home_folders(const struct runtime_spec *s, const char *out[1 + CONTENT_MAX])
{
    size_t n = 0, home = strlen(s->home);

    out[n++] = JUPYTER_FOLDER;
    for (size_t i = 0; i < s->content_len && n <= CONTENT_MAX; i++)
        if (strncmp(s->content[i].target, s->home, home) == 0 && s->content[i].target[home] == '/')
            out[n++] = s->content[i].target + home + 1;
    return n;
}

static const char *home_path(struct arena *a, const struct home_options *o)
{
    return o->sandbox ? arena_printf(a, "%s/%s/%s", o->base, o->sandbox, o->user)
                      : arena_printf(a, "%s/%s", o->base, o->user);
}

static const char *say_kept(const struct making *m)
{
    return arena_printf(
        m->a,
        "a former user had the name %s: the files of that one are kept apart, and this one began without "
        "any (an administrator: open-hydra-server homes list)",
        m->spec->owner);
}

/* Without root all users have the same ids, which tell nobody apart. */
static struct home_ids former_ids(const struct making *m)
{
    if (m->spec->former_owner_id == 0)
        return (struct home_ids){0};
    return m->e->rootless ? (struct home_ids){0, UINT32_MAX}
                          : (struct home_ids){m->spec->former_owner_id, m->e->config->host_id_size};
}

static int mend(const struct making *m, const struct home_options *o, struct error **err)
{
    const struct mend_request r = {.path = m->home_path,
                                   .parent = m->home.parent,
                                   .home = m->home.fd,
                                   .user = o->user,
                                   .order = home_mend_order(o, &m->home),
                                   .record = m->home.record};
    int rc = menders_ask(m->e->menders, &r, m->home.mend, m->a, &m->spec->progress, err);

    if (rc == 0 && *r.record.uid)
        menders_look(m->e->menders, &r);
    return rc;
}

static struct home_options home_options(const struct making *m, const char *const *folders, size_t n)
{
    const struct runtime_spec *s = m->spec;
    const struct config *c = m->e->config;
    const char *base = own_base(c, s->sandbox);

    return (struct home_options){.base = base ? base : c->workspace_path,
                                 .sandbox = base ? NULL : s->sandbox,
                                 .user = s->owner,
                                 .uid = s->owner_uid,
                                 .former = former_ids(m),
                                 .owner = outside_user(m),
                                 .range_first = m->out->host_id ? m->out->host_id : 1, /* see take_subordinate() */
                                 .range_size = m->out->host_id_size,
                                 .chown = geteuid() == 0,
                                 .skeleton = c->home_skeleton,
                                 .folders = folders,
                                 .folders_len = n};
}

/* The home, and that all in it is its user's. 1: it is being made so. */
static int take_home(struct making *m, struct error **err)
{
    const char *folders[1 + CONTENT_MAX];
    size_t n = home_folders(m->spec, folders);
    const struct home_options o = home_options(m, folders, n);

    if (home_open(&o, &m->home, &m->home_lock, err) < 0)
        return -1;
    m->home_path = home_path(m->a, &o);
    if (*m->home.kept)
        m->spec->kept_apart = say_kept(m);
    int mending = o.chown ? mend(m, &o, err) : 0;
    if (mending == 0)
        home_make_folders(&o, &m->home);
    return mending;
}

/* What is full takes long: the homes beside it are not held up by that. */
static int take_into_quota(struct making *m, const struct engine_facts *f, struct error **err)
{
    bool is_new = engine_storage_is_new(m->e, f, m->spec);

    if (is_new) {
        close(m->home_lock);
        m->home_lock = -1;
    }
    if (engine_storage_prepare(m->e, f, m->spec) > 0)
        return 1;
    if (!is_new)
        return 0;
    m->home_lock = homes_lock(m->home.parent, err);
    if (m->home_lock < 0)
        return -1;
    if (home_is_in_place(&m->home, m->spec->owner))
        return 0;
    m->spec->progress = "the home was moved meanwhile, and is looked for again";
    return 1;
}

static int mount_home(struct making *m, struct error **err)
{
    const char *source = m->home_path;

    if (geteuid() == 0) {
        if (place_ensure_home(m->e->places, m->place, m->home.fd, err) < 0)
            return -1;
        source = place_home_path(m->a, m->e->places, m->place);
    }
    add_mount(m, (struct mount_point){source, m->spec->home, false, true});
    return 0;
}

static int copy_shared(const struct making *m, enum place_shared what, const char *path, const char *name,
                       struct error **err)
{
    const struct runtime_spec *s = m->spec;
    size_t i = 0;

    while (i < s->content_len && !streq(s->content[i].name, name))
        i++;
    if (i == s->content_len || path == NULL || !path_exists(path))
        return 0;
    if (place_ensure_shared(m->e->places, m->place, what, path, err) < 0)
        return -1;
    add_mount(m, (struct mount_point){place_shared_path(m->a, m->e->places, m->place, what), s->content[i].target, true,
                                      false});
    return 0;
}

static int make_log_folder(const struct making *m, struct error **err)
{
    if (place_ensure_log(m->e->places, m->place, err) < 0)
        return -1;
    m->out->log_folder = place_log_path(m->a, m->e->places, m->place);
    return 0;
}

/* --- All of it --- */

static int refuse(const char **reason, const char *name)
{
    *reason = name;
    return -1;
}

static int make_all(struct making *m, const struct engine_facts *f, const char **reason, struct error **err)
{
    const struct config *c = m->e->config;

    if (choose_ids(m, f, err) < 0)
        return refuse(reason, "HostIdRefused");
    if (choose_relay(m, err) < 0)
        return refuse(reason, "HostIdRefused");
    int home = take_home(m, err);
    *reason = "MendingHome";
    if (home)
        return home > 0 ? 1 : refuse(reason, "HomeRefused");
    int quota = take_into_quota(m, f, err);
    *reason = "QuotaPending";
    if (quota)
        return quota > 0 ? 1 : refuse(reason, "HomeRefused");
    if (make_socket_folder(m, err) < 0 || make_ports_folder(m, err) < 0)
        return refuse(reason, "SocketDirectoryRefused");
    if (mount_home(m, err) < 0)
        return refuse(reason, "HomeRefused");
    if (copy_shared(m, PLACE_DATA_SET, c->dataset_path, CONTENT_DATA_SETS, err) < 0)
        return refuse(reason, "DataSetsRefused");
    if (copy_shared(m, PLACE_COURSE, c->course_path, CONTENT_COURSES, err) < 0)
        return refuse(reason, "CoursesRefused");
    if (copy_shared(m, PLACE_WHEELS, c->pip_find_links, CONTENT_WHEELS, err) < 0)
        return refuse(reason, "WheelsRefused");
    return make_log_folder(m, err) < 0 ? refuse(reason, "LogRefused") : 0;
}

int host_prepare(struct engine *e, const struct engine_facts *f, struct arena *a, struct runtime_spec *s,
                 struct prepared *out, const char **reason, struct error **err)
{
    struct making m = {.e = e, .a = a, .spec = s, .out = out, .home = {.fd = -1, .parent = -1}, .home_lock = -1};

    assert(s->ports_len >= 1 && s->ports_len <= PORTS_MAX);
    for (size_t i = 0; i < s->ports_len; i++) /* the first alone may be a socket of its own */
        assert(s->ports[i].tcp ? s->ports[i].socket == NULL : i == 0 && s->ports[i].socket);

    *out = (struct prepared){0};
    place_name(m.place, s->instance);
    int rc = make_all(&m, f, reason, err);
    making_end(&m);
    return rc;
}

char *host_socket(struct engine *e, struct arena *a, const char *instance, const char *inside)
{
    char place[PLACE_NAME_SIZE];

    place_name(place, instance);
    return strchr(inside, '/') && place_has_socket(e->places, place) ? socket_path(e, a, place, inside) : NULL;
}

char *host_port_socket(struct engine *e, struct arena *a, const char *instance, const char *port)
{
    char place[PLACE_NAME_SIZE];

    place_name(place, instance);
    return place_has_ports(e->places, place) ? port_socket_path(e, a, place, port) : NULL;
}

int host_remove(struct engine *e, const char *instance, struct error **err)
{
    char place[PLACE_NAME_SIZE];

    place_name(place, instance);
    return place_remove(e->places, place, err);
}

/* --- What belongs to nobody --- */

static struct map *places_of(const struct map *ids)
{
    struct map *places = map_new();
    struct str id;
    void *ignored;

    for (size_t at = 0; map_next(ids, &at, &id, &ignored);) {
        _cleanup_free_ char *text = xstrndup(id.p, id.n);
        char place[PLACE_NAME_SIZE];
        place_name(place, text);
        map_set(places, str_from(place), places);
    }
    return places;
}

static int remove_unwanted(struct engine *e, char *const *names, size_t n, const struct map *wanted, struct error **err)
{
    int rc = 0;

    for (size_t i = 0; i < n; i++) {
        if (map_get(wanted, str_from(names[i])))
            continue;
        log_warning("socket directory %s has no device any more: removed", names[i]);
        if (place_remove(e->places, names[i], rc == 0 ? err : NULL) < 0)
            rc = -1;
    }
    return rc;
}

int host_sweep(struct engine *e, void (*wanted)(void *arg, struct map *ids), void *arg, struct error **err)
{
    char **names;
    size_t n = place_list(e->places, &names);
    struct map *ids = map_new();

    wanted(arg, ids);
    struct map *places = places_of(ids);
    int rc = remove_unwanted(e, names, n, places, err);
    map_free(places, NULL);
    map_free(ids, NULL);
    for (size_t i = 0; i < n; i++)
        free(names[i]);
    free(names);
    return rc;
}
