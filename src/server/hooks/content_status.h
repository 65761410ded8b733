#pragma once

#include "server/content/upload.h"
#include "server/hooks/context.h"

/* What the server says in the status of a data set or a course. */

enum content_phase { CONTENT_PENDING, CONTENT_UPLOADING, CONTENT_UNPACKING, CONTENT_READY, CONTENT_FAILED };

/* Which object: the one of that name with that uid, and no later one. */
struct content_object {
    const char *plural, *name, *uid;
};

/* The contents that are kept on disk, after a change of them. */
struct content_shelved {
    uint64_t kept[64], present;
    size_t n;
};

/* Each waits until it is on disk. NotFound: the object is gone. */
int content_say(struct store *store, const struct content_object *o, enum content_phase phase, const char *progress,
                const char *message, struct error **err) _must_check_;
/* Ready or Pending again, as it was before an upload; `message` NULL: as it is usual. */
int content_say_idle(struct store *store, const struct content_object *o, const char *message, struct error **err)
    _must_check_;
int content_say_published(struct store *store, const struct content_object *o, const struct upload *u,
                          const struct content_shelved *shelved, struct error **err) _must_check_;
int content_say_rolled_back(struct store *store, const struct content_object *o, const struct content_shelved *shelved,
                            struct error **err) _must_check_;

/* What its folder is called: as it says, or by its name. */
const char *content_folder(yyjson_val *object);
const char *content_folder_mut(yyjson_mut_val *object);

/* Of a new object. */
void content_begin_status(struct admission *a);
/* The content that the specification asks for: 0 where there is none. */
uint64_t content_wanted(yyjson_val *object);
bool content_has_version(yyjson_val *object, uint64_t version);
enum content_phase content_phase(yyjson_val *object);
