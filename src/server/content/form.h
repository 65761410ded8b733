#pragma once

#include "base/error.h"
#include "base/str.h"

/*
 * multipart/form-data (RFC 7578) as it comes, in pieces of any size: nothing of a part's content is held. The libraries
 * of Debian that read it want all of it (GMime), or pull from a stream of their own (libsoup), or bring Apache's
 * runtime along (libapreq2).
 */
#define FORM_NAME_MAX 256       /* bytes of a field's name */
#define FORM_FILE_NAME_MAX 1024 /* … and of a file's, as sent */
#define FORM_PARTS_MAX 64
#define FORM_HEADERS_MAX 8192 /* of one part */

struct form_part {
    const char *name;      /* of the field */
    const char *file_name; /* without folders; NULL: it is no file */
};

struct form_ops {
    /* A part begins, some of its content, it is whole. Negative ends all. */
    int (*begin)(void *arg, const struct form_part *p, struct error **err);
    int (*data)(void *arg, const char *p, size_t n, struct error **err);
    int (*end)(void *arg, struct error **err);
};

struct form;
/* `media_type` names the boundary; BadRequest where it does not. */
struct form *form_new(const char *media_type, const struct form_ops *ops, void *arg, struct error **err) _must_check_;
void form_free(struct form *f);
int form_feed(struct form *f, const char *p, size_t n, struct error **err) _must_check_;
/* After the last piece: BadRequest where the last boundary has not come. */
int form_finish(const struct form *f, struct error **err) _must_check_;

static inline void cleanup_formp(struct form **f)
{
    form_free(*f);
}
#define _cleanup_form_ _cleanup_(cleanup_formp)
