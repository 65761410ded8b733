#include "runner/images.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/secret.h"
#include "base/text.h"
#include "client/client.h"
#include "kinds/names.h"
#include "kinds/sandbox.h"
#include "runner/environment/images.h"
#include "runner/environment/named.h"

#define BAR_WIDTH 24
#define REDRAW_US 200000

struct work {
    const struct runner_options *options;
    const struct config *config;
    struct runtime *runtime;
    struct arena *arena;
    int stop_fd;
    bool dry_run;
    char *const *words;
    int n;
};

/* --- Progress --- */

struct bar {
    const char *what;
    int stop_fd;
    bool shown;
    int64_t begun_us, drawn_us;
};

static struct bar bar_begin(const struct work *w, const char *what)
{
    return (struct bar){.what = what, .stop_fd = w->stop_fd, .begun_us = clock_monotonic_us()};
}

static void draw(struct bar *b, const struct runtime_progress *p, int64_t now)
{
    uint64_t passed = (uint64_t)(now - b->begun_us);
    struct image_state s = {.pulling = true, .progress = *p};
    char cells[BAR_WIDTH + 1];
    size_t full = p->bytes_total ? (size_t)((double)p->bytes / (double)p->bytes_total * BAR_WIDTH) : 0;

    if (passed)
        s.bytes_per_second = (uint64_t)((double)p->bytes * 1e6 / (double)passed);
    for (size_t i = 0; i < BAR_WIDTH; i++)
        cells[i] = i < full ? '#' : '.';
    cells[BAR_WIDTH] = '\0';
    _cleanup_free_ char *text = image_progress_text(&s);
    fprintf(stderr, "\r%s [%s] %s\033[K", b->what, cells, text);
    b->shown = true;
}

/* On a terminal alone. Negative: somebody wants to stop. */
static int take_progress(void *arg, const struct runtime_progress *p)
{
    struct bar *b = arg;
    int64_t now = clock_monotonic_us();

    if (isatty(STDERR_FILENO) && now - b->drawn_us >= REDRAW_US) {
        b->drawn_us = now;
        draw(b, p, now);
    }
    return stop_said(b->stop_fd) ? -1 : 0;
}

static void bar_end(const struct bar *b)
{
    if (b->shown)
        fputs("\r\033[K", stderr);
}

/* --- What sandboxes name --- */

struct sandboxes {
    yyjson_doc *doc;
    yyjson_val *items;
};

static int ask_server(const struct work *w, const char *path, yyjson_doc **out, struct error **err)
{
    struct client *c =
        client_new(&(struct client_options){.transport = {.socket = w->options->server_socket, .url = "http://server"},
                                            .prefix = API_PREFIX,
                                            .stop_fd = w->stop_fd});
    int rc = client_call(c, &(struct client_request){"GET", path, NULL, NULL}, out, err);

    client_free(c);
    return rc;
}

static int ask_sandboxes(const struct work *w, struct sandboxes *out, struct error **err)
{
    int rc = ask_server(w, PLURAL_SANDBOXES, &out->doc, err);

    out->items = rc == 0 ? json_at(yyjson_doc_get_root(out->doc), "items") : NULL;
    return rc;
}

static bool names_image(const struct sandbox *s, const char *reference)
{
    struct sandbox_image list[SANDBOX_IMAGES_MAX];
    size_t n = sandbox_images(s, list);

    for (size_t i = 0; i < n; i++)
        if (image_same_name(list[i].reference, reference))
            return true;
    return false;
}

/* The names of those that name it, with commas; "" where none does. */
static const char *who_names(const struct work *w, const struct sandboxes *all, const char *reference)
{
    const char *found = "";
    struct sandbox s;
    yyjson_val *one;
    size_t i, max;

    yyjson_arr_foreach (all->items, i, max, one) {
        sandbox_read(one, &s);
        if (names_image(&s, reference))
            found = arena_printf(w->arena, "%s%s%s", found, *found ? "," : "", s.name);
    }
    return found;
}

/* --- List --- */

static double mebibytes(uint64_t bytes)
{
    return (double)bytes / 1048576;
}

static int list_images(struct work *w, struct error **err)
{
    struct runtime_named_image *list;
    struct sandboxes all = {0};
    _cleanup_error_ struct error *away = NULL;
    size_t n;

    if (w->runtime->ops->image_list(w->runtime, &list, &n, err) < 0)
        return -1;
    if (ask_sandboxes(w, &all, &away) < 0)
        fprintf(stderr, "open-hydra-server: which sandboxes need them is not known: %s\n", away->message);
    printf("%-12s %10s  %-4s %-20s %s\n", "ID", "MiB", "USED", "SANDBOXES", "NAME");
    for (size_t i = 0; i < n; i++) {
        const char *name = list[i].name ? list[i].name : "<none>";
        const char *who = list[i].name ? who_names(w, &all, name) : "";
        const char *id = strchr(list[i].image.id, ':');
        printf("%-12.12s %10.1f  %-4s %-20s %s\n", id ? id + 1 : list[i].image.id, mebibytes(list[i].image.bytes),
               list[i].used ? "yes" : "no", *who ? who : "-", name);
    }
    yyjson_doc_free(all.doc);
    runtime_free_named_images(list, n);
    return 0;
}

/* --- Pull --- */

/* The first of those that name the image and say who its registry is told that we are. */
static const char *who_has_secret(const struct work *w, const struct sandboxes *all, const char *image)
{
    struct sandbox s;
    yyjson_val *one;
    size_t i, max;

    yyjson_arr_foreach (all->items, i, max, one) {
        sandbox_read(one, &s);
        if (s.pull_secret && is_dns_subdomain(str_from(s.name)) && names_image(&s, image))
            return arena_strdup(w->arena, s.name);
    }
    return NULL;
}

/* As the runner does it. Without a server it is pulled as the engine itself can. */
static int find_secret(const struct work *w, struct runtime_pull *pull, struct error **err)
{
    struct sandboxes all = {0};
    _cleanup_error_ struct error *away = NULL;
    _cleanup_json_ yyjson_doc *secret = NULL;

    if (ask_sandboxes(w, &all, &away) < 0) {
        fprintf(stderr, "open-hydra-server: whether a sandbox has a secret for it is not known: %s\n", away->message);
        return 0;
    }
    const char *sandbox = who_has_secret(w, &all, pull->image);
    yyjson_doc_free(all.doc);
    if (sandbox == NULL)
        return 0;
    if (ask_server(w, arena_printf(w->arena, PLURAL_SANDBOXES "/%s/pullsecret", sandbox), &secret, err) < 0)
        return error_wrap(err, "imagePullSecret of sandbox %s", sandbox);
    pull->username = xstrdup_or_null(json_str_at(yyjson_doc_get_root(secret), "username"));
    pull->password = xstrdup_or_null(json_str_at(yyjson_doc_get_root(secret), "password"));
    return 0;
}

static int pull_by(const struct work *w, const struct runtime_pull *pull, struct error **err)
{
    struct bar bar = bar_begin(w, pull->image);
    int rc = w->runtime->ops->image_pull(w->runtime, pull, take_progress, &bar, err);

    bar_end(&bar);
    return rc;
}

static int pull_image(struct work *w, struct error **err)
{
    const char *image = w->words[0];
    struct runtime_pull pull = {.image = image};
    struct runtime_image here;

    if (!config_image_allowed(w->config, image))
        return error_set(err, REASON_FORBIDDEN, "image %s is none of those that may run here (allowedImages)", image);
    int rc = find_secret(w, &pull, err);
    if (rc == 0)
        rc = pull_by(w, &pull, err);
    secret_free((char *)(uintptr_t)pull.username);
    secret_free((char *)(uintptr_t)pull.password);
    if (rc < 0 || w->runtime->ops->image_find(w->runtime, image, &here, err) < 0)
        return error_wrap(err, "%s", image);
    printf("%s: pulled, %.1f MiB, %s\n", image, mebibytes(here.bytes), here.id);
    return 0;
}

/* --- Import, export --- */

struct import {
    struct bar bar;
    const char *file;
};

static int take_import_progress(void *arg, const struct runtime_progress *p)
{
    struct import *i = arg;
    return take_progress(&i->bar, p);
}

static void say_loaded(void *arg, const char *name)
{
    const struct import *i = arg;
    _cleanup_free_ char *plain = xstrdup(name);

    plain[text_clean(plain, strlen(plain), "")] = '\0';
    bar_end(&i->bar);
    printf("%s: imported %s\n", i->file, plain);
}

static int import_file(struct work *w, const char *path, struct error **err)
{
    struct import i = {bar_begin(w, path), path};
    _cleanup_close_ int file = open(path, O_RDONLY | O_CLOEXEC);

    if (file < 0)
        return error_errno(err, errno, "open %s", path);
    if (w->runtime->ops->image_load(w->runtime, file, take_import_progress, say_loaded, &i, err) < 0) {
        bar_end(&i.bar);
        return error_wrap(err, "%s", path);
    }
    return 0;
}

static int import_images(struct work *w, struct error **err)
{
    for (int i = 0; i < w->n; i++)
        if (import_file(w, w->words[i], err) < 0)
            return -1;
    return 0;
}

static int export_to(struct work *w, const char *image, const char *path, struct error **err)
{
    struct bar bar = bar_begin(w, image);
    _cleanup_close_ int file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);

    if (file < 0)
        return error_errno(err, errno, "open %s", path);
    int rc = w->runtime->ops->image_save(w->runtime, image, file, take_progress, &bar, err);
    bar_end(&bar);
    if (rc == 0 && stop_said(w->stop_fd))
        rc = error_set(err, REASON_SERVICE_UNAVAILABLE, "stopped");
    if (rc < 0)
        unlink(path);
    return rc;
}

/* Half of it is never seen under its name. */
static int export_image(struct work *w, struct error **err)
{
    const char *image = w->words[0], *path = w->words[1];
    struct runtime_image here;
    int there = w->runtime->ops->image_find(w->runtime, image, &here, err);

    if (there < 0)
        return -1;
    if (there == 0)
        return error_set(err, REASON_NOT_FOUND, "the engine has no image %s", image);
    const char *part = arena_printf(w->arena, "%s.part", path);
    if (export_to(w, image, part, err) < 0)
        return -1;
    if (rename(part, path) < 0)
        return error_errno(err, errno, "rename %s", part);
    printf("%s: exported to %s\n", image, path);
    return 0;
}

/* --- Prune --- */

struct pruning {
    struct work *work;
    struct sandboxes all;
    struct runtime_named_image *list;
    size_t n;
    unsigned failed;
};

static bool has_another_name(const struct pruning *p, const struct runtime_named_image *one)
{
    for (size_t i = 0; i < p->n; i++)
        if (&p->list[i] != one && streq(p->list[i].image.id, one->image.id))
            return true;
    return false;
}

/* The image that was recorded, as it is here now: under that name, or without any since a newer one took it. */
static const struct runtime_named_image *find_recorded(const struct pruning *p, const struct named_image *r)
{
    for (size_t i = 0; i < p->n; i++) {
        const struct runtime_named_image *one = &p->list[i];
        if (streq(one->image.id, r->id) && (one->name == NULL || image_same_name(one->name, r->reference)))
            return one;
    }
    return NULL;
}

/* False: it stays recorded. */
static bool prune_one(struct pruning *p, const struct named_image *r)
{
    const struct runtime_named_image *one = find_recorded(p, r);
    struct runtime *runtime = p->work->runtime;
    _cleanup_error_ struct error *err = NULL;

    if (one == NULL)
        return true;
    if (one->name && *who_names(p->work, &p->all, one->name))
        return false;
    if (one->used && !has_another_name(p, one)) {
        printf("%s: kept, an environment uses it\n", r->reference);
        return false;
    }
    if (p->work->dry_run) {
        printf("%s: would be removed, %.1f MiB\n", r->reference, mebibytes(one->image.bytes));
        return false;
    }
    if (runtime->ops->image_remove(runtime, one->name ? one->name : one->image.id, &err) < 0) {
        printf("%s: kept: %s\n", r->reference, err->message);
        p->failed += err->reason != REASON_CONFLICT;
        return false;
    }
    printf("%s: removed, %.1f MiB\n", r->reference, mebibytes(one->image.bytes));
    return true;
}

static int prune_recorded(struct pruning *p, struct error **err)
{
    struct work *w = p->work;
    const char *file = named_file(w->arena, w->config->data);
    struct named_image *recorded;
    size_t n, left = 0;

    if (named_read(w->arena, file, &recorded, &n, err) < 0)
        return -1;
    for (size_t i = 0; i < n; i++)
        if (!prune_one(p, &recorded[i]))
            recorded[left++] = recorded[i];
    if (left < n && !w->dry_run && named_write(file, recorded, left, err) < 0)
        return -1;
    return p->failed ? error_set(err, REASON_INTERNAL, "%u images could not be removed", p->failed) : 0;
}

static int prune_images(struct work *w, struct error **err)
{
    struct pruning p = {.work = w};

    if (ask_sandboxes(w, &p.all, err) < 0)
        return error_wrap(err, "which images sandboxes need is not known");
    int rc = w->runtime->ops->image_list(w->runtime, &p.list, &p.n, err);
    if (rc == 0)
        rc = prune_recorded(&p, err);
    runtime_free_named_images(p.list, p.n);
    yyjson_doc_free(p.all.doc);
    return rc;
}

/* --- All of them --- */

static const struct deed {
    const char *name, *words;
    int least, most;
    bool may_be_dry;
    int (*run)(struct work *w, struct error **err);
} deeds[] = {
    {"list", "", 0, 0, false, list_images},
    {"pull", "IMAGE", 1, 1, false, pull_image},
    {"import", "FILE…", 1, 1000, false, import_images},
    {"export", "IMAGE FILE", 2, 2, false, export_image},
    {"prune", "[--dry-run]", 0, 0, true, prune_images},
};

static const struct deed *find_deed(const struct images_order *o)
{
    for (size_t i = 0; o->deed && i < ARRAY_SIZE(deeds); i++) {
        const struct deed *d = &deeds[i];
        if (streq(d->name, o->deed))
            return o->n >= d->least && o->n <= d->most && (d->may_be_dry || !o->dry_run) ? d : NULL;
    }
    return NULL;
}

bool images_order_is_sound(const struct images_order *o)
{
    return find_deed(o) != NULL;
}

void images_describe(FILE *out)
{
    for (size_t i = 0; i < ARRAY_SIZE(deeds); i++)
        fprintf(out, "  open-hydra-server images %s %s\n", deeds[i].name, deeds[i].words);
}

int runner_images(const struct runner_options *options, const struct images_order *o, int stop_fd, struct error **err)
{
    const struct deed *deed = find_deed(o);
    _cleanup_arena_ struct arena *a = arena_new();
    struct work w = {.options = options,
                     .config = options->config,
                     .arena = a,
                     .stop_fd = stop_fd,
                     .dry_run = o->dry_run,
                     .words = o->words,
                     .n = o->n};
    _cleanup_close_ int end_fd = eventfd(0, EFD_CLOEXEC);
    uint64_t one = 1;

    assert(deed);
    w.runtime = runner_open_runtime(options, end_fd, stop_fd, err);
    if (w.runtime == NULL)
        return -1;
    int rc = deed->run(&w, err);
    ssize_t ignored _unused_ = write(end_fd, &one, sizeof(one));
    w.runtime->ops->free(w.runtime);
    return rc;
}
