#pragma once

#include "base/arena.h"
#include "base/json.h"
#include "config/config.h"

enum source_type { SOURCE_UPLOAD, SOURCE_FOLDER, SOURCE_GIT, SOURCE_ARCHIVE };

/* What spec.source asks for. Texts live in the arena. */
struct wanted {
    enum source_type type;
    const char *text; /* all of spec.source: another one is another content */
    const char *path; /* Folder */
    const char *url;  /* Git, Archive */
    const char *ref;  /* Git; NULL: the repository's own */
    const char *sha256;
    const char *file_name; /* by which the server sees what it is */
};

void wanted_read(struct arena *a, yyjson_val *object, struct wanted *out);
/* Whether the configuration allows it: Forbidden, Invalid with the field. The server is not asked. */
int wanted_check(const struct config *c, const struct wanted *w, struct error **err) _must_check_;
/* The folder, through no link and nowhere else: its descriptor. */
int wanted_open_folder(const struct config *c, const struct wanted *w, struct error **err) _must_check_;
