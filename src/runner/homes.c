#include "runner/homes.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/io.h"
#include "base/map.h"
#include "base/text.h"
#include "client/client.h"
#include "kinds/names.h"
#include "kinds/user.h"
#include "runner/home_deeds.h"

#define ANSWER_MAX 8

struct work {
    const struct runner_options *options;
    const struct homes_order *order;
    struct home_deed deed;
    struct roster roster;
    yyjson_doc *users; /* NULL: the server does not answer */
    char *why;         /* … */
};

/* --- What there is --- */

static int read_roster(struct work *w, struct error **err)
{
    const struct config *c = w->options->config;
    struct homes_place *named = arena_alloc(w->deed.arena, 2 * sizeof(*named));
    struct homes_config hc = {.workspace = c->workspace_path, .named = named};

    if (c->jupyter_lab_base)
        named[hc.named_len++] = (struct homes_place){"jupyter-lab", c->jupyter_lab_base};
    if (c->vscode_base)
        named[hc.named_len++] = (struct homes_place){"vscode", c->vscode_base};
    w->roster.arena = w->deed.arena;
    return roster_read(&w->roster, &hc, err);
}

static void ask_users(struct work *w)
{
    _cleanup_error_ struct error *err = NULL;
    struct client *c =
        client_new(&(struct client_options){.transport = {.socket = w->options->server_socket, .url = "http://server"},
                                            .prefix = API_PREFIX,
                                            .stop_fd = -1});

    if (client_call(c, &(struct client_request){"GET", PLURAL_USERS, NULL, NULL}, &w->users, &err) < 0)
        w->why = arena_strdup(w->deed.arena, err->message);
    client_free(c);
}

/* The uid of the user of that name; NULL: there is none, or nobody knows. */
static const char *uid_of(const struct work *w, const char *name)
{
    size_t i, max;
    yyjson_val *v;
    struct user u;

    yyjson_arr_foreach (json_at(yyjson_doc_get_root(w->users), "items"), i, max, v) {
        user_read(v, &u);
        if (streq(u.name, name))
            return u.uid;
    }
    return NULL;
}

/* In a word. */
static const char *state_of(const struct work *w, const struct home_entry *e)
{
    if (e->kind == HOME_KEPT)
        return "kept";
    if (e->kind == HOME_REMOVED)
        return "removing";
    if (home_is_in_use(&w->deed, e))
        return "running";
    const char *uid = uid_of(w, e->user);
    if (w->users && (uid == NULL || (*e->uid && !streq(e->uid, uid))))
        return "leftover";
    return *e->uid ? "own" : "unmarked";
}

/* --- List --- */

static void print_table(const struct work *w)
{
    size_t width = strlen("HOME");

    for (size_t i = 0; i < w->roster.n; i++)
        if (strlen(w->roster.list[i].id) > width)
            width = strlen(w->roster.list[i].id);
    printf("%-*s  %-8s  %-36s  %-20s  %s\n", (int)width, "HOME", "STATE", "UID OF THE USER", "SINCE", "HOST ID");
    for (size_t i = 0; i < w->roster.n; i++) {
        const struct home_entry *e = &w->roster.list[i];
        printf("%-*s  %-8s  %-36s  %-20s  %u\n", (int)width, e->id, state_of(w, e), *e->uid ? e->uid : "-",
               *e->since ? e->since : "-", e->owner);
    }
}

static void print_json(const struct work *w)
{
    _cleanup_json_mut_ yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *list = yyjson_mut_arr(doc);
    size_t n;

    yyjson_mut_doc_set_root(doc, list);
    for (size_t i = 0; i < w->roster.n; i++) {
        const struct home_entry *e = &w->roster.list[i];
        yyjson_mut_val *one = yyjson_mut_arr_add_obj(doc, list);
        json_mut_set_str(doc, one, "home", e->id);
        json_mut_set_str(doc, one, "sandbox", e->place->sandbox);
        json_mut_set_str(doc, one, "user", e->user);
        json_mut_set_str(doc, one, "state", state_of(w, e));
        json_mut_set_str(doc, one, "uid", e->uid);
        json_mut_set_str(doc, one, "since", e->since);
        json_mut_set_int(doc, one, "hostId", e->owner);
        json_mut_set_str(doc, one, "path", home_entry_path(w->deed.arena, e));
    }
    _cleanup_free_ char *text = json_mut_write(list, &n);
    puts(text);
}

static int do_list(struct work *w, struct error **err)
{
    if (w->users == NULL)
        fprintf(stderr, "the server does not answer, so that it is not known which users are gone: %s\n", w->why);
    if (w->order->json)
        print_json(w);
    else if (w->roster.n)
        print_table(w);
    else
        puts("there are no homes");
    return 0;
}

/* --- What changes something --- */

static int do_attach(struct work *w, struct error **err)
{
    const struct home_entry *e = roster_find(&w->roster, w->order->words[0], err);
    const char *user = w->order->words[1], *uid = uid_of(w, user);

    if (e == NULL)
        return -1;
    if (w->users == NULL)
        return error_set(err, REASON_SERVICE_UNAVAILABLE, "the server has to say who %s is, and does not answer: %s",
                         user, w->why);
    if (uid == NULL)
        return error_set(err, REASON_NOT_FOUND, "there is no user %s", user);
    return home_attach(&w->deed, e, user, uid, err);
}

static int do_archive(struct work *w, struct error **err)
{
    const struct home_entry *e = roster_find(&w->roster, w->order->words[0], err);

    if (e == NULL || home_archive(&w->deed, e, w->order->words[1], err) < 0)
        return -1;
    printf("%s: written to %s\n", e->id, w->order->words[1]);
    return 0;
}

static bool says_yes(const struct work *w, const struct home_entry *e)
{
    char answer[ANSWER_MAX] = "";

    fprintf(stderr, "remove %s (%s), with all files in it, for good? [y/N] ", e->id, state_of(w, e));
    return fgets(answer, sizeof(answer), stdin) && (answer[0] == 'y' || answer[0] == 'Y');
}

static int remove_one(struct work *w, const char *id, struct error **err)
{
    const struct home_entry *e = roster_find(&w->roster, id, err);

    if (e == NULL)
        return -1;
    if (!streq(e->id, id) && !w->deed.dry_run) /* what is gone for good is named in full */
        return error_set(err, REASON_INVALID, "what is removed has to be named in full: %s", e->id);
    if (!w->order->yes && !w->deed.dry_run && !isatty(STDIN_FILENO))
        return error_set(err, REASON_INVALID, "%s: --yes says that it is meant to be removed for good", e->id);
    if (!w->order->yes && !w->deed.dry_run && !says_yes(w, e)) {
        printf("%s: left as it is\n", e->id);
        return 0;
    }
    return home_remove(&w->deed, e, err);
}

static int do_remove(struct work *w, struct error **err)
{
    for (int i = 0; i < w->order->n; i++)
        if (remove_one(w, w->order->words[i], err) < 0)
            return -1;
    return 0;
}

/* --- The order --- */

static const struct deed {
    const char *name, *words, *what;
    int least, most;
    int (*run)(struct work *w, struct error **err);
} deeds[] = {
    {"list", "[-o json]", "whose the homes are, and those that are kept apart or left over", 0, 0, do_list},
    {"attach", "HOME USER",
     "give a home to that user: as the home where that one has none or an empty one, else in a folder", 2, 2,
     do_attach},
    {"archive", "HOME FILE", "write all of a home, with its owners, to FILE (.tar.zst, .tar.gz, .tar)", 2, 2,
     do_archive},
    {"remove", "HOME… [--dry-run] [--yes]", "remove homes for good", 1, 10000, do_remove},
};

static const struct deed *find_deed(const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(deeds); i++)
        if (streq(deeds[i].name, name))
            return &deeds[i];
    return NULL;
}

bool homes_order_is_sound(const struct homes_order *o)
{
    const struct deed *d = find_deed(o->deed);

    return d && o->n >= d->least && o->n <= d->most && (!o->dry_run || strstr(d->words, "--dry-run")) &&
           (!o->yes || strstr(d->words, "--yes")) && (!o->json || strstr(d->words, "json"));
}

void homes_describe(FILE *out)
{
    for (size_t i = 0; i < ARRAY_SIZE(deeds); i++) {
        _cleanup_free_ char *left = xasprintf("%s %s", deeds[i].name, deeds[i].words);
        fprintf(out, "  open-hydra-server homes %-34s %s\n", left, deeds[i].what);
    }
    fputs(
        "HOME is what `list` says, SANDBOX/NAME, or so much of its beginning as no other has. The environment of a home\n"
        "that is attached or removed must not run.\n"
        "States: own, running (an environment has it), unmarked (not started since homes say whose they are),\n"
        "leftover (its user is gone), kept (its user is gone, and another one has the name), removing.\n",
        out);
}

int runner_homes(const struct runner_options *options, const struct homes_order *o, struct error **err)
{
    const struct deed *d = find_deed(o->deed);
    struct work w = {.options = options, .order = o};

    if (d == NULL)
        return error_set(err, REASON_NOT_FOUND, "there is no \"homes %s\"", o->deed);
    w.deed = (struct home_deed){options->environments, arena_new(), o->dry_run};
    int rc = read_roster(&w, err);
    if (rc == 0) {
        ask_users(&w);
        rc = d->run(&w, err);
    }
    yyjson_doc_free(w.users);
    arena_free(w.deed.arena);
    return rc;
}
