"""Which processes have a store's file open: a row for each, so that a lock can be laid at someone's door."""

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing

OWNERS = "CREATE TABLE owners (key TEXT PRIMARY KEY, pid INTEGER NOT NULL, host TEXT NOT NULL) STRICT;"


def claim(connection: sqlite3.Connection, key: str) -> None:
    """Write the row of this process, durably, and remove those of processes that have died."""
    host = os.uname().nodename
    connection.execute("BEGIN IMMEDIATE")
    try:
        gone = [
            (row,)
            for row, pid in connection.execute("SELECT key, pid FROM owners WHERE host = ?", [host])
            if not _lives(pid)
        ]
        connection.executemany("DELETE FROM owners WHERE key = ?", gone)
        connection.execute("INSERT INTO owners (key, pid, host) VALUES (?, ?, ?)", [key, os.getpid(), host])
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def leave(connection: sqlite3.Connection, key: str) -> None:
    """Remove the row that `claim` wrote, if that is possible now."""
    try:
        connection.execute("DELETE FROM owners WHERE key = ?", [key])
    except sqlite3.Error:
        # It is for messages only, and the next process that opens the file removes it.
        return


def holders(connect: Callable[[str], sqlite3.Connection]) -> list[int]:
    """Return the ids of the other living processes that have the file open, as far as can be told."""
    try:
        with closing(connect("ro")) as connection:
            rows = connection.execute(
                "SELECT DISTINCT pid FROM owners WHERE host = ?", [os.uname().nodename]
            ).fetchall()
    except sqlite3.Error:
        return []
    return sorted(pid for (pid,) in rows if pid != os.getpid() and _lives(pid))


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True
