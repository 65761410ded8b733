#include "bench/bare_sqlite.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "server/store/schema.h"

#define UID "00000000-0000-0000-0000-000000000000"
#define FILE_NAME "bare.db"

/* As store/sqlite.c has them. */
#define PRAGMAS                                                                                                        \
    "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 4000;"                          \
    "PRAGMA journal_size_limit = 33554432; PRAGMA temp_store = MEMORY"

struct loop {
    sqlite3 *db;
    sqlite3_stmt *object, *event, *revision;
    struct str json;
    int n;
};

static void fail(sqlite3 *db)
{
    fprintf(stderr, "sqlite: %s\n", sqlite3_errmsg(db));
    exit(1);
}

static void execute(struct loop *l, const char *text)
{
    if (sqlite3_exec(l->db, text, NULL, NULL, NULL) != SQLITE_OK)
        fail(l->db);
}

static sqlite3_stmt *prepare(struct loop *l, const char *text)
{
    sqlite3_stmt *out;

    if (sqlite3_prepare_v3(l->db, text, -1, SQLITE_PREPARE_PERSISTENT, &out, NULL) != SQLITE_OK)
        fail(l->db);
    return out;
}

static void step(struct loop *l, sqlite3_stmt *q)
{
    if (sqlite3_step(q) != SQLITE_DONE)
        fail(l->db);
    sqlite3_reset(q);
}

static void begin(struct loop *l, const char *path)
{
    if (sqlite3_open_v2(path, &l->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL) !=
        SQLITE_OK)
        fail(l->db);
    execute(l, PRAGMAS);
    for (size_t i = 0; i < ARRAY_SIZE(sqlite_migrations); i++)
        execute(l, sqlite_migrations[i]);
    l->object =
        prepare(l, "INSERT INTO objects (collection, name, uid, revision, json) VALUES ('openhydrausers', ?1, '" UID
                   "', ?2, ?3)");
    l->event = prepare(l, "INSERT INTO log VALUES (?1, 0, 0, 'openhydrausers', ?2, '" UID "', NULL)");
    l->revision = prepare(l, "UPDATE meta SET value = ?1 WHERE key = 'revision'");
}

static void insert(struct loop *l)
{
    char name[32];
    int n = snprintf(name, sizeof(name), "user-%d", ++l->n);

    sqlite3_bind_text(l->object, 1, name, n, SQLITE_STATIC);
    sqlite3_bind_int64(l->object, 2, l->n);
    sqlite3_bind_blob(l->object, 3, l->json.p, (int)l->json.n, SQLITE_STATIC);
    sqlite3_bind_int64(l->event, 1, l->n);
    sqlite3_bind_text(l->event, 2, name, n, SQLITE_STATIC);
    step(l, l->object);
    step(l, l->event);
}

static double run(struct loop *l, int64_t run_us, int per_transaction)
{
    int64_t start = clock_monotonic_us(), now;

    while ((now = clock_monotonic_us()) - start < run_us) {
        execute(l, "BEGIN IMMEDIATE");
        for (int i = 0; i < per_transaction; i++)
            insert(l);
        sqlite3_bind_int64(l->revision, 1, l->n);
        step(l, l->revision);
        execute(l, "COMMIT");
    }
    return l->n * 1e6 / (double)(now - start);
}

static void end(struct loop *l, const char *directory, const char *path)
{
    sqlite3_finalize(l->object);
    sqlite3_finalize(l->event);
    sqlite3_finalize(l->revision);
    /* The last connection takes the WAL away. */
    sqlite3_close(l->db);
    unlink(path);
    rmdir(directory);
}

double bare_sqlite_creates(const char *parent, int64_t run_us, int per_transaction, struct str json)
{
    struct loop l = {.json = json};
    _cleanup_free_ char *directory = xasprintf("%s/bare-sqlite-XXXXXX", parent);

    if (mkdtemp(directory) == NULL) {
        perror(directory);
        exit(1);
    }
    _cleanup_free_ char *path = xasprintf("%s/" FILE_NAME, directory);
    begin(&l, path);
    double rate = run(&l, run_us, per_transaction);
    end(&l, directory, path);
    return rate;
}
