#pragma once

#include "client/transport.h"

/* A file on its way to the server, as the form that it takes in one request. */
struct form {
    int file;
    char boundary[48]; /* that nobody who made the content knows */
};

/* What comes before the content, and after it. */
int form_begin(struct form *f, int file, const char *file_name, struct error **err) _must_check_;
int form_end(const struct form *f, struct error **err) _must_check_;
/* Answered when everybody sees the content; an error has the server's own words. `path` is the object's. */
int form_send(const struct form *f, struct transport *server, const char *path, int stop_fd, struct error **err)
    _must_check_;
