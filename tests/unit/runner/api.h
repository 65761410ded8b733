#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/json.h"

/* A small server of our API's conventions for tests of its clients: devices and sandboxes with list, watch, PATCH and
 * finalizers, one revision counter, and failures to order. */
struct api_failure {
    const char *method, *path; /* path: part of it */
    unsigned status, times;    /* status 0: no answer */
};

struct api_object {
    char *plural, *name;
    yyjson_doc *doc;
};

struct api_watch {
    int fd;
    char *plural;
};

struct api {
    char directory[32], path[64];
    int listen_fd, stop_fd;
    pthread_t thread;
    pthread_mutex_t lock;
    uint64_t revision;
    struct api_object objects[32];
    size_t objects_len;
    struct api_watch watches[16];
    size_t watches_len;
    struct api_failure failures[8];
    size_t failures_len;
    char *log; /* "PUT devices/a/endpoint 200\n" … */
    char *put; /* body of the last PUT that was taken */
};

void api_start(struct api *a);
void api_end(struct api *a);
/* Makes or replaces; `text` is the object without resourceVersion. */
void api_put(struct api *a, const char *plural, const char *text);
/* Whatever its finalizers say. */
void api_remove(struct api *a, const char *plural, const char *name);
void api_patch(struct api *a, const char *plural, const char *name, const char *text);
/* The next so many of these requests fail. */
void api_fail(struct api *a, const char *method, const char *path, unsigned status, unsigned times);
/* How many requests began like that and got that status. */
unsigned api_count(struct api *a, const char *request, unsigned status);
/* A copy of the body of the last PUT that was taken. The caller frees. */
char *api_last_put(struct api *a);
/* Copies, which the caller frees; NULL: no such object, or nothing at that path. */
yyjson_doc *api_get(struct api *a, const char *plural, const char *name);
/* Ends all watches, and forgets all objects, at that revision: an older store was put back. */
void api_restore(struct api *a, uint64_t revision);
