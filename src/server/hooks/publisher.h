#pragma once

#include <pthread.h>

#include "server/content/upload.h"
#include "server/hooks/content_status.h"

/*
 * The one thread that changes what users see of data sets and courses: it unpacks what has been uploaded and exchanges
 * it, goes back to former contents, and removes what was deleted, one after the other. What it was at when the server
 * ended it does again at the next start.
 */
struct publisher;
struct publisher *publisher_new(struct store *store, struct library *libraries, size_t n);
/* Looks what is to be done since the last time, and begins. */
void publisher_start(struct publisher *p);
/* What is under way is left as it is. */
void publisher_stop(struct publisher *p);
void publisher_free(struct publisher *p);

/* An upload that is whole (upload_finish). `done` is told once what came of it, from the thread; err NULL: it is there.
 * It must not block. NULL: nobody asks. */
void publisher_publish(struct publisher *p, struct library *l, const char *id,
                       void (*done)(void *arg, const struct error *err), void *arg);
/* Makes what users see what spec.version says. */
void publisher_roll_back(struct publisher *p, struct library *l, const char *name);
/* In the transaction in which an object goes: its content does too, whatever happens meanwhile. */
void publisher_remove_in_txn(struct publisher *p, struct store_txn *t, struct library *l, const char *folder,
                             const char *uid);
