#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

/*
 * The disk that the database is on, and the room on it that is the database's own.
 *
 * Who fills the disk has all of it, and waits for each block that somebody gives up: a file that is given up when it is
 * needed would be theirs before it is ours. So the room is where it is used: blocks behind the end of the WAL
 * (fallocate, KEEP_SIZE), which SQLite writes into, and free pages within the database (sqlite.c). A WAL is removed
 * when the database is closed; its blocks stay under another name, and are the next one's.
 */
struct room {
    int folder;       /* of the database; -1: nothing is known */
    uint64_t reserve; /* bytes that were asked for; 0: none are kept */
};

void room_open(struct room *r, const char *directory, uint64_t reserve);
void room_close(struct room *r);

/* What is free for everybody, and below which nothing new is taken: some MiB, less on a small disk. */
struct room_free {
    uint64_t bytes, wanted;
};
struct room_free room_look(const struct room *r);
static inline bool room_is_low(struct room_free f)
{
    return f.bytes < f.wanted;
}

/* InsufficientStorage, with what is free and what to do. */
int room_error(struct room_free f, struct error **err);
/* Before the database is opened: the room that was put aside becomes the WAL's. */
void room_take(const struct room *r);
/* While it is open, now and then: the room is made, or made whole again, where the disk has it to spare. */
void room_keep(const struct room *r);
/* Before it is closed. */
void room_put_aside(const struct room *r);
