#pragma once

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

/* A peer on a unix socket that plays a script: each request must begin with `expect`, and gets `answer` byte for byte,
 * broken ones too. */
struct line {
    const char *expect; /* "GET /x" */
    const char *answer; /* whole response; NULL: says nothing until the peer stops */
    const char *body;   /* must be in the request; NULL: anything */
    bool keep;          /* the connection stays open until the peer stops */
};

struct peer {
    char directory[32], path[64];
    int listen_fd, stop_fd;
    const struct line *script;
    size_t script_len, at; /* at: under the lock */
    char *wrong;           /* what came instead; NULL: all as written */
    bool partial;          /* the script need not be played to its end */
    pthread_mutex_t lock;
    pthread_t thread;
    int held[32];
    size_t held_len;
};

void peer_start(struct peer *p, const struct line *script, size_t n);
/* Fails the test where the script was not played to its end. */
void peer_end(struct peer *p);
/* Waits until that many lines were played. */
void peer_wait(struct peer *p, size_t lines);

/* One request from a connection; 0: none came. */
size_t peer_read_request(int fd, char *out, size_t max);

#define OK_JSON(body) "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: application/json\r\n\r\n" body
#define STATUS(code, reason, message)                                                                                  \
    "HTTP/1.1 " code " X\r\nConnection: close\r\n\r\n{\"kind\":\"Status\",\"reason\":\"" reason                        \
    "\",\"message\":\"" message "\"}"
