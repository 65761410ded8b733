#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"
#include "base/str.h"

/*
 * HTTP as a client (libcurl): over a unix socket, or to a URL with TLS. Any thread may call; connections are kept and
 * used again. Every call ends: by an answer, by its deadline, or at once when its stop descriptor becomes readable.
 */
struct transport_options {
    const char *socket; /* unix socket; NULL: the URL's host */
    const char *url;    /* "http://engine", "https://10.96.0.1:443": no slash at the end */
    const char *ca_file, *certificate_file, *key_file; /* TLS; NULL: libcurl's defaults, none */
    const char *token;                                 /* Authorization: Bearer; NULL: none */
};

/* What libcurl wants once; transport_new does it. */
void transport_init(void);

struct transport;
struct transport *transport_new(const struct transport_options *options);
void transport_free(struct transport *t);

struct call {
    const char *method;
    const char *path; /* with query */
    const char *content_type;
    const char *header; /* one more, «Name: value»; NULL: none */
    struct str body;
    unsigned timeout_ms; /* of the whole call; 0: as long as it lasts (streams) */
    unsigned silence_s;  /* so long without a byte ends it; 0: it may */
    int stop_fd;         /* -1: none */
    size_t max_body;     /* 0: 16 MiB */
    /* Where set, told of the answer's status before any of its body. */
    void (*begun)(void *arg, unsigned status);
    /* Where set, a 2xx body is handed over as it comes, and is not collected. A negative return ends the call (no
     * error). */
    int (*receive)(void *arg, struct str piece);
    /* Where set, told now and then how much of the body has gone out. */
    void (*sent)(void *arg, uint64_t bytes);
    void *arg;
};

struct answer {
    unsigned status;
    struct buffer body;
};
static inline void cleanup_answer(struct answer *a)
{
    buffer_free(&a->body);
}
#define _cleanup_answer_ _cleanup_(cleanup_answer)

/* 0: the peer answered, whatever its status. Negative: ServiceUnavailable (nobody there, cut off, stopped) or Timeout.
 */
int transport_call(struct transport *t, const struct call *c, struct answer *out, struct error **err) _must_check_;
/* Whether a descriptor is readable now: «stop» was said. */
bool stop_said(int stop_fd);
/* Sleeps; true where it was ended by stop. */
bool stop_wait(int stop_fd, unsigned ms);
