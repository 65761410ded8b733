#pragma once

/* Marks a file as ours (SQLite's application_id): "ohyd". */
#define SQLITE_APPLICATION_ID 0x6f687964

/*
 * Step n brings a database from user_version n to n + 1; each runs in a transaction of its own. A step that was once
 * released never changes.
 *
 * objects: what is there now. A row id and an index, not WITHOUT ROWID: an object is larger than an index page wants.
 * log: what happened, for watches that resume over a restart. `json` is NULL while the event's object is the present
 * one (then it is in `objects`), so that a create writes its bytes once; it is filled in when the object changes.
 */
static const char *const sqlite_migrations[] = {
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;"
    "INSERT INTO meta VALUES ('revision', 0);"
    "CREATE TABLE objects (id INTEGER PRIMARY KEY, collection TEXT NOT NULL, name TEXT NOT NULL, uid TEXT NOT NULL,"
    "  revision INTEGER NOT NULL, json BLOB NOT NULL, UNIQUE (collection, name));"
    "CREATE TABLE log (revision INTEGER PRIMARY KEY, type INTEGER NOT NULL, time INTEGER NOT NULL,"
    "  collection TEXT NOT NULL, name TEXT NOT NULL, uid TEXT NOT NULL, json BLOB);"
    "CREATE TABLE secrets (scope TEXT NOT NULL, key BLOB NOT NULL, value BLOB NOT NULL, PRIMARY KEY (scope, key))"
    "  WITHOUT ROWID;",
};
