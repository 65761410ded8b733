"""The server's database, behind its back: only while it is stopped."""
import contextlib
import sqlite3


def path(instance):
    return instance.data / "server/open-hydra.db"


def run(instance, sql, *values):
    with contextlib.closing(sqlite3.connect(path(instance))) as db:
        rows = db.execute(sql, values).fetchall()
        db.commit()
    return rows


def cut_off(instance, collection, name, keep=60):
    """One object's JSON ends in the middle, as a bad block leaves it."""
    run(instance, "UPDATE objects SET json = CAST(substr(json, 1, ?) AS BLOB) WHERE collection = ? AND name = ?", keep, collection, name)
