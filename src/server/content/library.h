#pragma once

#include <pthread.h>

#include "server/content/exchange.h"

/* The contents of one kind: a folder that environments have, and how much may come into it. */
struct library {
    const char *plural;         /* of the kind */
    const char *key, *size_key; /* of the configuration, for messages */
    const char *path;
    uint64_t max_bytes;     /* of what is uploaded */
    uint64_t reserve_bytes; /* of the disk, for others; of a small one less */
    pthread_mutex_t lock;
    bool open; /* (lock); from then on `shelf` does not change */
    struct shelf shelf;
};

void library_init(struct library *l);
void library_close(struct library *l);
/* Tries to open it, where it is not: an administrator may have mended the folder. Says what is wrong with it. */
int library_open(struct library *l, struct error **err) _must_check_;

/* Whether so many more bytes have room beside what is kept for others; InsufficientStorage. */
int library_has_room(const struct library *l, uint64_t more, struct error **err) _must_check_;
/* How many more would have it. */
uint64_t library_room(const struct library *l);
/* What a file that has been sent may become. */
uint64_t library_unpacked_max(const struct library *l);
