#pragma once

#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"

/* A client of a running server for the commands of its administrator: with the certificate of DATA/kubeconfig, past
 * every proxy. */
struct administrator;
struct administrator *administrator_new(const char *kubeconfig, struct error **err) _must_check_;
void administrator_free(struct administrator *a); /* NULL allowed */
static inline void cleanup_administratorp(struct administrator **a)
{
    administrator_free(*a);
}
#define _cleanup_administrator_ _cleanup_(cleanup_administratorp)

struct administrator_call {
    const char *method, *path;
    const char *content_type;
    const char *const *headers; /* more, NULL-terminated; NULL: none */
    struct str body;
    int file; /* where has_file: its bytes from `from` on are the body */
    bool has_file;
    uint64_t from, to;
    void (*progress)(void *arg, uint64_t sent); /* NULL: nobody wants to know */
    void *progress_arg;
    unsigned timeout_s; /* for all of it; 0: none, but for the connection and for what stands still */
};

struct administrator_answer {
    unsigned status;
    struct buffer body;
    char *location, *metadata; /* Location, Upload-Metadata */
    uint64_t offset;           /* Upload-Offset */
    bool has_offset;
};
void administrator_answer_free(struct administrator_answer *a);
#define _cleanup_administrator_answer_ _cleanup_(administrator_answer_free)

/* 0: it answered, whatever the status. ServiceUnavailable: nobody there, or cut off. */
int administrator_call(struct administrator *a, const struct administrator_call *call, struct administrator_answer *out,
                       struct error **err) _must_check_;
/* Negative where the status is none of success, with what the server says. */
int administrator_accepted(const struct administrator_answer *a, struct error **err) _must_check_;
