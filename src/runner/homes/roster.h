#pragma once

#include "base/arena.h"
#include "runner/homes/kept.h"

/* All homes that are on this machine's disks, and those that are kept apart. Everything lives in the arena. */

/* A folder in which homes lie side by side: WORKSPACE/SANDBOX, or one that the configuration names for a sandbox. */
struct homes_place {
    const char *sandbox, *path;
};
struct homes_config {
    const char *workspace;           /* folders of sandboxes */
    const struct homes_place *named; /* sandboxes whose homes lie elsewhere */
    size_t named_len;
};

enum home_kind {
    HOME_PRESENT, /* in its place */
    HOME_KEPT,    /* of a former user */
    HOME_REMOVED, /* a removal that was killed */
};

struct home_entry {
    const struct homes_place *place;
    enum home_kind kind;
    const char *id;         /* SANDBOX/NAME */
    const char *name;       /* in the folder of its kind */
    const char *user, *uid; /* uid "": no record says it */
    const char *since;      /* when it became that user's, or was set aside; "": not known */
    uint32_t owner;         /* id of the folder itself */
};

struct roster {
    struct home_entry *list;
    size_t n, max;
    struct arena *arena;
};

/* Folders that cannot be read are told by the error after the others were. */
int roster_read(struct roster *r, const struct homes_config *c, struct error **err) _must_check_;
/* The one of that id, or the only one whose id begins with it. */
const struct home_entry *roster_find(const struct roster *r, const char *id, struct error **err) _must_check_;
/* Where the folders of a kind lie: "" for homes in their place. */
const char *home_kind_folder(enum home_kind kind);
const char *home_entry_path(struct arena *a, const struct home_entry *e);
