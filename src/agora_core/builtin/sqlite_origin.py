"""Whether a file that SQLite cannot read was a store of ours once: by what still stands in it, not by its name."""

import sqlite3
from contextlib import closing

from agora_core.builtin.sqlite_file import SqliteFile
from agora_core.builtin.sqlite_pages import opened_pages
from agora_core.builtin.sqlite_salvage import salvage

_APPLICATION_ID = slice(68, 72)
_MOST_PAGES = 1024
"""So many are looked through for a row: what is there may be a film."""


def was_ours(file: SqliteFile) -> bool:
    """Return whether its header, its schema or a sound row in it tell that we have made the file."""
    with opened_pages(file.path, file.beside("-wal")) as pages:
        first = pages.page(1)
        if int.from_bytes(first[_APPLICATION_ID]) == file.application_id or file.marker in first:
            return True
        with closing(sqlite3.connect(":memory:", isolation_level=None)) as memory:
            memory.executescript(file.schema)
            saved = salvage(pages, file.saved, memory, most_pages=_MOST_PAGES)
    return saved.rows > saved.in_part


def schema_is_ours(connection: sqlite3.Connection, file: SqliteFile) -> bool:
    """Return whether a file with another mark in its header has the tables of ours."""
    found = connection.execute("SELECT sql FROM sqlite_schema WHERE type = 'table'").fetchall()
    return any(sql is not None and sql.encode().startswith(file.marker) for (sql,) in found)
