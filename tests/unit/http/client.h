#pragma once

#include <stdbool.h>

#include "base/buffer.h"
#include "http/http.h"

/* A server on a socket in a folder of its own, and a client that says exactly what a test wants said. */
struct fixture {
    char directory[64], path[96];
    int listen_fd;
    struct http_server *server;
};

void fixture_start(struct fixture *f, const struct http_options *options, http_handler *handler, void *arg);
void fixture_stop(struct fixture *f);    /* the server */
void fixture_cleanup(struct fixture *f); /* the server if it still runs, and the folder */
struct http_options default_options(void);

int client_connect(const struct fixture *f);
void client_send(int fd, const char *text);
/* Reads one whole response (Content-Length or chunked, HEAD without body); `b` gets head and body as they came. */
void client_read_response(int fd, struct buffer *b, bool head);
/* Reads until `text` has come. */
void client_read_until(int fd, struct buffer *b, const char *text);
/* Reads until the peer closes; what came is appended. */
void client_read_all(int fd, struct buffer *b);
/* One request on a connection of its own; the whole response. */
char *client_request(const struct fixture *f, const char *text);
