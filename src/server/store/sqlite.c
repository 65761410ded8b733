#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/io.h"
#include "base/log.h"
#include "server/store/backend.h"
#include "server/store/begun.h"
#include "server/store/object.h"
#include "server/store/schema.h"

/*
 * The backend on SQLite: one connection, used by one thread at a time, in WAL mode with synchronous=FULL (a commit has
 * reached the disk when it returns).
 *
 * What is checked at the start: the file's marks; how its pages hang together (quick_check: a copy that was taken while
 * the server wrote is found out here, and not by a later write); that the one index has as many entries as its table.
 *
 * The file gets smaller again (auto_vacuum=INCREMENTAL): what old events leave behind is given back a piece at a time.
 */

/* Pages of WAL after which it is copied back: it stays below 16 MiB and one transaction, and many commits share
 * the cost. */
#define CHECKPOINT_PAGES 4000
#define WAL_KEEP_BYTES 33554432
/* The same while the disk is nearly full. */
#define CHECKPOINT_PAGES_LOW 64
/* One compaction goes through at most that many bytes of events, and a row. */
#define COMPACT_BYTES 16777216
/* Free pages that stay for the next writes, and how many are given back in one transaction. */
#define FREE_PAGES_KEPT 1024
#define FREE_PAGES_AT_ONCE 512
#define SPARE_PAGES 8 /* of one record that makes them */
/* A database from before auto_vacuum is written anew, in memory, where it holds no more than this. */
#define CONVERT_BYTES 67108864

enum statement {
    BEGIN,
    COMMIT,
    ROLLBACK,
    SET_REVISION,
    INSERT_OBJECT,
    UPDATE_OBJECT,
    DELETE_OBJECT,
    INSERT_EVENT,
    FILL_EVENT,
    SET_SECRET,
    DELETE_SECRET,
    OLD_EVENTS,
    COMPACT,
    STATEMENTS,
};

static const char *const sql[STATEMENTS] = {
    [BEGIN] = "BEGIN IMMEDIATE",
    [COMMIT] = "COMMIT",
    [ROLLBACK] = "ROLLBACK",
    [SET_REVISION] = "UPDATE meta SET value = ?1 WHERE key = 'revision'",
    /* What was set aside has kept its row. */
    [INSERT_OBJECT] = ("INSERT INTO objects (collection, name, uid, revision, json) VALUES (?1, ?2, ?3, ?4, ?5)"
                       " ON CONFLICT (collection, name) DO UPDATE SET uid = ?3, revision = ?4, json = ?5"),
    [UPDATE_OBJECT] = "UPDATE objects SET uid = ?3, revision = ?4, json = ?5 WHERE collection = ?1 AND name = ?2",
    [DELETE_OBJECT] = "DELETE FROM objects WHERE collection = ?1 AND name = ?2",
    [INSERT_EVENT] =
        "INSERT INTO log (revision, type, time, collection, name, uid, json) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    [FILL_EVENT] = "UPDATE log SET json = ?2 WHERE revision = ?1",
    [SET_SECRET] =
        "INSERT INTO secrets VALUES (?1, ?2, ?3) ON CONFLICT (scope, key) DO UPDATE SET value = excluded.value",
    [DELETE_SECRET] = "DELETE FROM secrets WHERE scope = ?1 AND key = ?2",
    [OLD_EVENTS] = "SELECT revision, ifnull(length(json), 0) FROM log WHERE revision <= ?1 ORDER BY revision",
    [COMPACT] = "DELETE FROM log WHERE revision <= ?1",
};

struct sqlite {
    struct backend base;
    sqlite3 *db;
    char *path;
    const struct room *room;
    bool low;
    sqlite3_stmt *statements[STATEMENTS];
};

/* --- Errors --- */

static int damaged(struct sqlite *s, const char *how, struct error **err)
{
    return error_set(
        err, REASON_INTERNAL,
        "the database %s is damaged (%s): put a backup in its place, or move it and %s-wal away to begin with "
        "an empty one",
        s->path, how, s->path);
}

static int fail_open(struct sqlite *s, struct error **err)
{
    int code = sqlite3_errcode(s->db) & 0xff;

    if (code == SQLITE_NOTADB || code == SQLITE_CORRUPT)
        return damaged(s, sqlite3_errmsg(s->db), err);
    return error_set(err, REASON_INTERNAL, "cannot use the database %s: %s", s->path, sqlite3_errmsg(s->db));
}

static int fail_write(struct sqlite *s, struct error **err)
{
    int code = sqlite3_errcode(s->db) & 0xff;
    const char *text = sqlite3_errmsg(s->db);

    int error = sqlite3_system_errno(s->db);
    if (code == SQLITE_FULL || error == ENOSPC || error == EDQUOT)
        return error_set(err, REASON_INSUFFICIENT_STORAGE, "cannot write to the database: no space left on the device");
    return error_set(err, REASON_SERVICE_UNAVAILABLE, "cannot write to the database: %s", text);
}

/* --- Statements --- */

static void bind_text(sqlite3_stmt *q, int at, struct str s)
{
    sqlite3_bind_text(q, at, s.p ? s.p : "", (int)s.n, SQLITE_STATIC);
}

static void bind_blob(sqlite3_stmt *q, int at, struct str s)
{
    if (s.n == 0)
        sqlite3_bind_zeroblob(q, at, 0);
    else
        sqlite3_bind_blob(q, at, s.p, (int)s.n, SQLITE_STATIC);
}

/* Returns SQLITE_DONE where all is well. */
static int step(sqlite3_stmt *q)
{
    int rc = sqlite3_step(q);
    sqlite3_reset(q);
    return rc;
}

static bool run(struct sqlite *s, enum statement which)
{
    return step(s->statements[which]) == SQLITE_DONE;
}

static struct str column(sqlite3_stmt *q, int i)
{
    const char *p = sqlite3_column_blob(q, i);
    return (struct str){p ? p : "", (size_t)sqlite3_column_bytes(q, i)};
}

static const char *column_text(sqlite3_stmt *q, int i)
{
    const unsigned char *p = sqlite3_column_text(q, i);
    return p ? (const char *)p : "";
}

static bool execute(struct sqlite *s, const char *text)
{
    return sqlite3_exec(s->db, text, NULL, NULL, NULL) == SQLITE_OK;
}

/* One number out of one row; -1 with the error set where there is none. */
static sqlite3_int64 number(struct sqlite *s, const char *query, struct error **err)
{
    sqlite3_stmt *q;
    sqlite3_int64 out = -1;

    if (sqlite3_prepare_v2(s->db, query, -1, &q, NULL) != SQLITE_OK)
        return fail_open(s, err);
    int rc = sqlite3_step(q);
    if (rc == SQLITE_ROW)
        out = sqlite3_column_int64(q, 0);
    else if (rc == SQLITE_DONE)
        damaged(s, "a row is missing", err);
    else
        fail_open(s, err);
    sqlite3_finalize(q);
    return out;
}

/* --- Load --- */

static int each_row(struct sqlite *s, const char *query, void (*row)(sqlite3_stmt *q, const struct backend_sink *sink),
                    const struct backend_sink *sink, struct error **err)
{
    sqlite3_stmt *q;
    int rc;

    if (sqlite3_prepare_v2(s->db, query, -1, &q, NULL) != SQLITE_OK)
        return fail_open(s, err);
    while ((rc = sqlite3_step(q)) == SQLITE_ROW)
        row(q, sink);
    if (rc != SQLITE_DONE)
        fail_open(s, err);
    sqlite3_finalize(q);
    return rc == SQLITE_DONE ? 0 : -1;
}

static void object_row(sqlite3_stmt *q, const struct backend_sink *sink)
{
    struct object *o = object_new((uint64_t)sqlite3_column_int64(q, 3), column(q, 1), column(q, 2), column(q, 4));
    sink->object(sink->arg, column_text(q, 0), o);
}

static void secret_row(sqlite3_stmt *q, const struct backend_sink *sink)
{
    sink->secret(sink->arg, column_text(q, 0), column(q, 1), column(q, 2));
}

static void event_row(sqlite3_stmt *q, const struct backend_sink *sink)
{
    uint64_t revision = (uint64_t)sqlite3_column_int64(q, 0);
    struct object *o = NULL;

    if (sqlite3_column_int64(q, 0) <= 0)
        return;
    if (sqlite3_column_type(q, 6) != SQLITE_NULL)
        o = object_new(revision, column(q, 4), column(q, 5), column(q, 6));
    sink->event(sink->arg, (enum event_type)sqlite3_column_int(q, 1), revision, column_text(q, 3), column(q, 4), o,
                sqlite3_column_int64(q, 2));
}

static int load(struct backend *b, const struct backend_sink *sink, uint64_t *revision, struct error **err)
{
    struct sqlite *s = (struct sqlite *)b;

    if (each_row(s, "SELECT collection, name, uid, revision, json FROM objects NOT INDEXED", object_row, sink, err) <
            0 ||
        each_row(s, "SELECT scope, key, value FROM secrets", secret_row, sink, err) < 0 ||
        each_row(s, "SELECT revision, type, time, collection, name, uid, json FROM log ORDER BY revision", event_row,
                 sink, err) < 0)
        return -1;
    sqlite3_int64 stored = number(s, "SELECT value FROM meta WHERE key = 'revision'", err);
    if (stored < 0)
        return -1;
    *revision = (uint64_t)stored;

    /* The index was not needed so far, but it is for writing: see that it can be read and holds as many rows. */
    sqlite3_int64 rows = number(s, "SELECT count(*) FROM objects NOT INDEXED", err);
    if (rows < 0)
        return -1;
    sqlite3_int64 indexed = number(s, "SELECT count(*) FROM objects INDEXED BY sqlite_autoindex_objects_1", err);
    if (indexed < 0)
        return -1;
    if (indexed != rows)
        return damaged(s, "its index does not match its objects", err);
    sqlite3_db_release_memory(s->db);
    return 0;
}

/* --- Commit --- */

static bool write_object(struct sqlite *s, const struct backend_write *w)
{
    static const enum statement which[] = {
        [EVENT_ADDED] = INSERT_OBJECT, [EVENT_MODIFIED] = UPDATE_OBJECT, [EVENT_DELETED] = DELETE_OBJECT};
    sqlite3_stmt *q = s->statements[which[w->type]];

    bind_text(q, 1, str_from(w->collection));
    bind_text(q, 2, str_from(w->object->name));
    if (w->type != EVENT_DELETED) {
        bind_text(q, 3, str_from(w->object->uid));
        sqlite3_bind_int64(q, 4, (sqlite3_int64)w->object->revision);
        bind_blob(q, 5, w->object->json);
    }
    return step(q) == SQLITE_DONE;
}

/* The event before lost its place in `objects`: its bytes go into the log, while it is still there. */
static bool fill_previous(struct sqlite *s, const struct backend_write *w, uint64_t log_start)
{
    sqlite3_stmt *q = s->statements[FILL_EVENT];

    if (w->previous == NULL || w->previous->revision <= log_start)
        return true;
    sqlite3_bind_int64(q, 1, (sqlite3_int64)w->previous->revision);
    bind_blob(q, 2, w->previous->json);
    return step(q) == SQLITE_DONE;
}

static bool write_event(struct sqlite *s, const struct backend_write *w, int64_t realtime_s)
{
    sqlite3_stmt *q = s->statements[INSERT_EVENT];

    sqlite3_bind_int64(q, 1, (sqlite3_int64)w->object->revision);
    sqlite3_bind_int(q, 2, (int)w->type);
    sqlite3_bind_int64(q, 3, realtime_s);
    bind_text(q, 4, str_from(w->collection));
    bind_text(q, 5, str_from(w->object->name));
    bind_text(q, 6, str_from(w->object->uid));
    if (w->type == EVENT_DELETED)
        bind_blob(q, 7, w->object->json);
    else
        sqlite3_bind_null(q, 7);
    return step(q) == SQLITE_DONE;
}

static bool write_secret(struct sqlite *s, const struct backend_secret *w)
{
    sqlite3_stmt *q = s->statements[w->value.p ? SET_SECRET : DELETE_SECRET];

    bind_text(q, 1, str_from(w->scope));
    bind_blob(q, 2, w->key);
    if (w->value.p)
        bind_blob(q, 3, w->value);
    return step(q) == SQLITE_DONE;
}

static bool write_revision(struct sqlite *s, uint64_t revision)
{
    sqlite3_bind_int64(s->statements[SET_REVISION], 1, (sqlite3_int64)revision);
    return run(s, SET_REVISION);
}

static bool write_batch(struct sqlite *s, const struct backend_batch *batch)
{
    for (size_t i = 0; i < batch->writes_len; i++) {
        const struct backend_write *w = &batch->writes[i];
        if (!write_object(s, w) || !fill_previous(s, w, batch->log_start) || !write_event(s, w, batch->realtime_s))
            return false;
    }
    for (size_t i = 0; i < batch->secrets_len; i++)
        if (!write_secret(s, &batch->secrets[i]))
            return false;
    return batch->writes_len == 0 || write_revision(s, batch->revision);
}

static int roll_back(struct sqlite *s, struct error **err)
{
    fail_write(s, err);
    /* SQLite may have rolled back by itself already. */
    if (!sqlite3_get_autocommit(s->db))
        run(s, ROLLBACK);
    return -1;
}

static int commit(struct backend *b, const struct backend_batch *batch, struct error **err)
{
    struct sqlite *s = (struct sqlite *)b;

    if (s->low != batch->low)
        sqlite3_wal_autocheckpoint(s->db, batch->low ? CHECKPOINT_PAGES_LOW : CHECKPOINT_PAGES);
    s->low = batch->low;
    if (!run(s, BEGIN) || !write_batch(s, batch) || !run(s, COMMIT))
        return roll_back(s, err);
    return 0;
}

/* The last revision that one compaction takes. The length of a value is read without its pages. */
static sqlite3_int64 compact_until(struct sqlite *s, sqlite3_int64 revision)
{
    sqlite3_stmt *q = s->statements[OLD_EVENTS];
    sqlite3_int64 bytes = 0, until = revision;

    sqlite3_bind_int64(q, 1, revision);
    while (sqlite3_step(q) == SQLITE_ROW) {
        until = sqlite3_column_int64(q, 0);
        bytes += sqlite3_column_int64(q, 1);
        if (bytes >= COMPACT_BYTES)
            break;
        until = revision;
    }
    sqlite3_reset(q);
    return until;
}

static int reindex(struct backend *b, struct error **err)
{
    struct sqlite *s = (struct sqlite *)b;
    return execute(s, "REINDEX") ? 0 : damaged(s, sqlite3_errmsg(s->db), err);
}

static int compact(struct backend *b, uint64_t revision, uint64_t *reached, struct error **err)
{
    struct sqlite *s = (struct sqlite *)b;
    sqlite3_int64 until = compact_until(s, (sqlite3_int64)revision);

    sqlite3_bind_int64(s->statements[COMPACT], 1, until);
    if (!run(s, COMPACT))
        return fail_write(s, err);
    *reached = (uint64_t)until;
    return 0;
}

static int probe(struct backend *b, uint64_t revision, struct error **err)
{
    struct sqlite *s = (struct sqlite *)b;
    return run(s, BEGIN) && write_revision(s, revision) && run(s, COMMIT) ? 0 : roll_back(s, err);
}

/* Pages are made by records that go at once: small ones, as SQLite holds each whole in memory. */
static int spare(struct backend *b, struct error **err)
{
    struct sqlite *s = (struct sqlite *)b;
    sqlite3_int64 pages = number(s, "SELECT freelist_count FROM pragma_freelist_count", err);

    if (pages < 0)
        return -1;
    if (pages >= FREE_PAGES_KEPT / 2)
        return 0;
    _cleanup_free_ char *text =
        xasprintf("BEGIN IMMEDIATE;"
                  "INSERT INTO secrets WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %lld) "
                  "SELECT '', i, zeroblob(%d) FROM n;"
                  "DELETE FROM secrets WHERE scope = ''; COMMIT",
                  (FREE_PAGES_KEPT - (long long)pages) / SPARE_PAGES + 1, SPARE_PAGES * 4096);
    if (!execute(s, text))
        return roll_back(s, err);
    /* In the file itself, where nobody else can have them. */
    sqlite3_wal_checkpoint_v2(s->db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
    sqlite3_db_release_memory(s->db);
    return 0;
}

static int shrink(struct backend *b, struct error **err)
{
    struct sqlite *s = (struct sqlite *)b;
    sqlite3_int64 spare = number(s, "SELECT freelist_count FROM pragma_freelist_count", err);

    if (spare < 0)
        return -1;
    spare -= FREE_PAGES_KEPT;
    if (spare <= 0)
        return 0;
    bool last = spare <= FREE_PAGES_AT_ONCE;
    _cleanup_free_ char *text =
        xasprintf("PRAGMA incremental_vacuum(%lld)", (long long)(last ? spare : FREE_PAGES_AT_ONCE));
    if (!execute(s, text))
        return fail_write(s, err);
    /* The file itself is cut when the WAL has been copied back; where that fails, a later commit does it. */
    if (last)
        sqlite3_wal_checkpoint_v2(s->db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
    return !last;
}

/* --- Open --- */

static void close_database(struct backend *b)
{
    struct sqlite *s = (struct sqlite *)b;

    for (size_t i = 0; i < STATEMENTS; i++)
        sqlite3_finalize(s->statements[i]);
    if (s->statements[0])
        room_put_aside(s->room);
    if (sqlite3_close(s->db) != SQLITE_OK)
        log_error("the database could not be closed: %s", sqlite3_errmsg(s->db));
    free(s->path);
    free(s);
}

static int migrate(struct sqlite *s, sqlite3_int64 from, struct error **err)
{
    for (sqlite3_int64 i = from; i < (sqlite3_int64)ARRAY_SIZE(sqlite_migrations); i++) {
        _cleanup_free_ char *marks = xasprintf("PRAGMA application_id = %d; PRAGMA user_version = %lld; COMMIT",
                                               SQLITE_APPLICATION_ID, (long long)i + 1);
        if (!execute(s, "BEGIN IMMEDIATE") || !execute(s, sqlite_migrations[i]) || !execute(s, marks)) {
            fail_open(s, err);
            execute(s, "ROLLBACK");
            return -1;
        }
    }
    return 0;
}

/* Ours, empty, or refused. */
static int identify(struct sqlite *s, const char *directory, sqlite3_int64 *version, struct error **err)
{
    sqlite3_int64 id = number(s, "SELECT application_id & 4294967295 FROM pragma_application_id", err);
    if (id < 0)
        return -1;
    sqlite3_int64 tables = number(s, "SELECT count(*) FROM sqlite_master", err);
    if (tables < 0)
        return -1;
    *version = number(s, "SELECT user_version & 4294967295 FROM pragma_user_version", err);
    if (*version < 0)
        return -1;
    if (id != SQLITE_APPLICATION_ID && (id != 0 || tables != 0 || *version != 0))
        return error_set(err, REASON_INTERNAL,
                         "%s is a database of another program: move it away, or name another directory", s->path);
    if (tables == 0 && begun_allows(directory, err) < 0)
        return -1;
    if (*version > (sqlite3_int64)ARRAY_SIZE(sqlite_migrations))
        return error_set(
            err, REASON_INTERNAL,
            "the database %s was written by a newer version of this program (schema %lld, known here: %zu): "
            "install that version, or put a backup from before in its place",
            s->path, (long long)*version, ARRAY_SIZE(sqlite_migrations));
    return 0;
}

static int check_pages(struct sqlite *s, struct error **err)
{
    sqlite3_stmt *q;
    int rc = -1;

    if (sqlite3_prepare_v2(s->db, "PRAGMA quick_check(1)", -1, &q, NULL) != SQLITE_OK)
        return fail_open(s, err);
    if (sqlite3_step(q) != SQLITE_ROW)
        fail_open(s, err);
    else if (!str_is(column(q, 0), "ok"))
        damaged(s, column_text(q, 0), err);
    else
        rc = 0;
    sqlite3_finalize(q);
    return rc;
}

/* A new database, and one from before auto_vacuum, has to be written anew for it, which is done where it costs a
 * moment; a larger one works as it did, and its free pages are used again. */
static int convert(struct sqlite *s, struct error **err)
{
    sqlite3_int64 mode = number(s, "SELECT auto_vacuum FROM pragma_auto_vacuum", err);
    sqlite3_int64 bytes = mode < 0 ? -1
                                   : number(s,
                                            "SELECT (page_count - freelist_count) * page_size FROM pragma_page_count, "
                                            "pragma_freelist_count, pragma_page_size",
                                            err);

    if (bytes < 0)
        return -1;
    if (mode == 2)
        return 0;
    if (bytes > CONVERT_BYTES)
        log_info("the database %s keeps the size that it once had: the start after one with less in it changes that",
                 s->path);
    else if (!execute(s, "PRAGMA auto_vacuum = INCREMENTAL; VACUUM"))
        log_warning("the database %s keeps the size that it once had: %s", s->path, sqlite3_errmsg(s->db));
    return 0;
}

static int prepare(struct sqlite *s, const char *directory, bool no_sync, struct error **err)
{
    sqlite3_int64 version;
    _cleanup_free_ char *settings =
        xasprintf("PRAGMA journal_mode = WAL; PRAGMA synchronous = %s;"
                  "PRAGMA wal_autocheckpoint = %d;"
                  "PRAGMA journal_size_limit = %d; PRAGMA temp_store = MEMORY; PRAGMA trusted_schema = OFF",
                  no_sync ? "OFF" : "FULL", CHECKPOINT_PAGES, WAL_KEEP_BYTES);

    if (identify(s, directory, &version, err) < 0)
        return -1;
    if (!execute(s, settings))
        return fail_open(s, err);
    if (migrate(s, version, err) < 0 || check_pages(s, err) < 0 || convert(s, err) < 0)
        return -1;
    for (size_t i = 0; i < STATEMENTS; i++)
        if (sqlite3_prepare_v3(s->db, sql[i], -1, SQLITE_PREPARE_PERSISTENT, &s->statements[i], NULL) != SQLITE_OK)
            return fail_open(s, err);
    _cleanup_error_ struct error *why = NULL;
    if (begun_note(directory, &why) < 0)
        log_warning("a database that gets lost would not be noticed: %s", why->message);
    return 0;
}

/* Made here, so that nobody else may read it; SQLite gives its companions the same mode. */
static int make_private(const char *path, struct error **err)
{
    _cleanup_close_ int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    return fd < 0 ? error_errno(err, errno, "cannot open the database %s", path) : 0;
}

struct backend *sqlite_open(const char *directory, const struct room *room, bool no_sync, struct error **err)
{
    static const struct backend_ops ops = {
        .load = load,
        .reindex = reindex,
        .commit = commit,
        .compact = compact,
        .probe = probe,
        .spare = spare,
        .shrink = shrink,
        .close = close_database,
    };
    struct sqlite *s = xcalloc(1, sizeof(*s));

    s->base.ops = &ops;
    s->room = room;
    s->path = xasprintf("%s/open-hydra.db", directory);
    if (make_private(s->path, err) == 0) {
        room_take(room);
        /* Locks of its own are not needed: one thread at a time uses it. */
        int rc = sqlite3_open_v2(s->path, &s->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
        sqlite3_extended_result_codes(s->db, 1);
        sqlite3_busy_timeout(s->db, 5000);
        if (rc != SQLITE_OK)
            fail_open(s, err);
        else if (prepare(s, directory, no_sync, err) == 0)
            return &s->base;
    }
    close_database(&s->base);
    return NULL;
}
