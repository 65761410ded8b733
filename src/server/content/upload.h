#pragma once

#include "server/content/library.h"

/*
 * A file that is being sent: BASE/.open-hydra/uploads/ID with two files, `body` and `state`. What is acknowledged is on
 * disk and written in the state; bytes of the body behind that are cut off when it is opened again.
 *
 * One thread at a time.
 */
#define UPLOAD_ID_MAX 64
#define UPLOAD_NO_LENGTH UINT64_MAX
#define CHECKSUM_SIZE 65 /* SHA-256 in hexadecimal digits */

/* What is known of it from its beginning. Strings NULL: not known. */
struct upload_head {
    const char *id;        /* a file's name */
    const char *name;      /* of the object */
    const char *uid;       /* … whose content it becomes */
    const char *file_name; /* as its sender calls it */
    const char *tag;       /* nobody goes on with it who does not know it */
    const char *metadata;  /* its sender's own, told again when asked */
    uint64_t length;       /* UPLOAD_NO_LENGTH: not said */
    bool resumable;        /* it stays when its sender goes, and when the server does */
};

/* What it was published as, once that has begun. */
struct upload_outcome {
    uint64_t version; /* 0: not yet */
    uint64_t bytes, files;
};

struct upload {
    struct library *library;
    char *id, *name, *uid, *file_name, *tag, *metadata;
    uint64_t length, offset; /* offset: acknowledged */
    uint64_t at;             /* … and written */
    uint64_t checked, flushed;
    bool resumable, whole;
    int64_t touched_us; /* real time of the last acknowledgement */
    struct upload_outcome outcome;
    char checksum[CHECKSUM_SIZE]; /* of one that is whole */
    int body;
    void *hash;      /* of what is written … */
    uint64_t hashed; /* … up to here */
};

/* The library is open. What was there under that id is gone then. */
struct upload *upload_begin(struct library *l, const struct upload_head *head, struct error **err) _must_check_;
/* NotFound: there is none. */
struct upload *upload_open(struct library *l, const char *id, struct error **err) _must_check_;
void upload_close(struct upload *u); /* NULL allowed */
/* From the disk. It may be open. */
int upload_remove(struct library *l, const char *id, struct error **err) _must_check_;

/* RequestTooLarge, InsufficientStorage, BadRequest (more than was announced). */
int upload_write(struct upload *u, const char *p, size_t n, struct error **err) _must_check_;
/* What is written is on disk, and acknowledged. */
int upload_keep(struct upload *u, struct error **err) _must_check_;
/* What was written since the last acknowledgement is taken back. */
int upload_take_back(struct upload *u, struct error **err) _must_check_;
/* The same, and it is all. */
int upload_finish(struct upload *u, const char *name, const char *uid, struct error **err) _must_check_;
int upload_publishes(struct upload *u, const struct upload_outcome *o, struct error **err) _must_check_;

/* Calls each(id) for every one that is there. */
void upload_list(struct library *l, void (*each)(void *arg, const char *id), void *arg);

static inline void cleanup_uploadp(struct upload **u)
{
    upload_close(*u);
}
#define _cleanup_upload_ _cleanup_(cleanup_uploadp)
