#pragma once

#include "server/store/store.h"

/* A store in a folder of its own, and the few writes that tests are made of. */
struct fixture {
    char directory[64];
    struct store_options options;
    struct store *store;
};

void fixture_open(struct fixture *f);    /* a new folder */
void fixture_reopen(struct fixture *f);  /* closes it before, where it is open */
void fixture_close(struct fixture *f);   /* leaves the folder */
void fixture_cleanup(struct fixture *f); /* closes it, removes the folder */
char *fixture_path(const struct fixture *f, const char *file);

struct change_args {
    const char *collection, *name, *text;
    uint64_t revision; /* out */
};
/* Stages {"v":TEXT,"r":REVISION}. */
int put_fn(struct store_txn *t, void *arg, struct error **err);
int delete_fn(struct store_txn *t, void *arg, struct error **err);
uint64_t put(struct store *s, const char *collection, const char *name, const char *text);
uint64_t take_away(struct store *s, const char *collection, const char *name);
/* "name=json " for each object. */
char *list(struct store *s, const char *collection);
/* Compares JSON and revision of one object; text NULL: absent. */
void expect(struct store *s, const char *collection, const char *name, const char *text, uint64_t revision);
/* Runs SQL on a database behind the store's back; the first column of the first row, or 0. */
long long database_number(const char *path, const char *sql);
/* The same with several statements, which share a connection. */
void database_run(const char *path, const char *sql);
