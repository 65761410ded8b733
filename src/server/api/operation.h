#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "base/arena.h"
#include "base/error.h"
#include "kinds/kind.h"
#include "server/api/authorize.h"
#include "server/api/negotiate.h"

/*
 * One call of the API and what comes of it, both as plain data. Who calls makes an operation of whatever came (HTTP:
 * over_http.c) and an answer of the result; what is behind api_call knows neither the way nor the form in which it
 * came.
 */

enum verb {
    VERB_NONE, /* none that the API has */
    VERB_GET,
    VERB_LIST,
    VERB_WATCH,
    VERB_CREATE,
    VERB_UPDATE,
    VERB_PATCH,
    VERB_DELETE,
    VERB_DELETECOLLECTION,
    VERBS
};
const char *verb_name(enum verb verb); /* "get"; "" for none */

/* As Kubernetes names them (dryRun, labelSelector …), decoded. */
struct parameter {
    const char *name, *value;
};

struct sink;

struct operation {
    enum verb verb;
    const struct kind *kind; /* one of api_options.resources; NULL: no resource but a document at `path` */
    const char *name;        /* NULL: the collection */
    const char *text;        /* what was asked for, where `name` was made of it (server/model/text_name.h); or NULL */
    const char *subresource; /* NULL: the main resource */
    const char *path;        /* without a slash at its end; of what is no resource, and for the audit */
    struct identity who;     /* its strings live as long as the arena */
    const struct parameter *parameters;
    size_t parameters_len;
    struct str body;
    const char *media_type; /* of the body; NULL: not said */
    enum representation representation;
    const char *accept, *held; /* of documents: which form is wanted (an Accept header), which ETag the caller has */
    /* The caller's: lives until `done` has returned; where that was given a source, until it has been closed. */
    struct arena *arena;
    /* What came is no operation at all, and why (no such path or method); taken. */
    struct error *wrong;
    /* Where the body comes bit by bit (kind_subresource.streams): hands it to the sink. NULL: `body` is all of it. */
    void (*receive)(const struct operation *op, struct sink *s);
    uint64_t announced; /* how many bytes of it were announced; 0: not said */
    /* Asks the caller to call gone(arg) where nobody waits for the result any more (http_on_gone). NULL: never. */
    void (*on_gone)(const struct operation *op, void (*gone)(void *arg), void *arg);
};

/* The first of that name; NULL: absent. */
const char *operation_parameter(const struct operation *op, const char *name);
/* What Kubernetes' conversion of parameters makes of a boolean: absent, "false" and "0" are false. */
bool operation_flag(const struct operation *op, const char *name);
/* dryRun: absent or "All"; anything else is a 400. */
int operation_dry_run(const struct operation *op, bool *out, struct error **err) _must_check_;

/* A body that comes bit by bit, pulled by whoever reads it. Neither read nor close may block. */
struct source {
    /* > 0: that many bytes are in `out`; 0: none now, wait for `wake`; -1: the end; -2: broken. */
    ssize_t (*read)(struct source *s, char *out, size_t max);
    /* The last call: all was read, or nobody reads any more. */
    void (*close)(struct source *s);
    /* The reader's, set before its first call: to be called, from any thread, when read has something again; until
     * close has been called. */
    void (*wake)(void *arg);
    void *wake_arg;
};

/* A body that is sent, taken as it comes: while the sink takes nothing, whoever sends it waits. Neither write nor end may
 * block. */
struct sink {
    /* > 0: took that many of the n bytes; 0: none now, wait for `wake`; -1: no more, and this was the last call. */
    ssize_t (*write)(struct sink *s, const char *p, size_t n);
    /* The last call. `why` NULL: the body was whole. The operation is still owed its answer. */
    void (*end)(struct sink *s, const struct error *why);
    /* The giver's, set before its first call: as source.wake. */
    void (*wake)(void *arg);
    void *wake_arg;
};

static inline void sink_wake(struct sink *s)
{
    s->wake(s->wake_arg);
}

static inline void source_wake(struct source *s)
{
    s->wake(s->wake_arg);
}

struct header {
    struct header *next;
    const char *name, *value;
};

struct result {
    unsigned code;
    const char *name;             /* the object's, also one that the server made up; NULL: none */
    const struct error *error;    /* of which the body is the Status; NULL: it succeeded. Until `done` returns */
    const struct header *headers; /* Warning, Retry-After, Allow, ETag … */
    const char *media_type;       /* NULL: there is no body */
    struct str body;
    void (*release)(void *owner); /* called when the body is no longer needed. NULL: it is gone when `done` returns */
    void *owner;
    struct source *source; /* instead of a body */
};
/* What an operation has come to, for those who count. */
struct operation_outcome {
    unsigned code;
    int64_t us;   /* from its beginning to its answer; of a stream, to its start */
    size_t bytes; /* of the body; of a stream none */
};
/* Called once, from any thread, perhaps before api_call returns. */
typedef void operation_done(void *arg, const struct result *result);
