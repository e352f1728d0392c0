"""Brings a file that an older Agora wrote to the version of this one, in one transaction: wholly or not at all.

A migration is the steps from the version before: statements, or functions where SQL is not enough.
"""

import logging
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

from agora_core.spec.errors import ConfigError

Step: TypeAlias = str | Callable[[sqlite3.Connection], None]
Migration: TypeAlias = Sequence[Step]

_DEFENSIVE = 1010
"""SQLITE_DBCONFIG_DEFENSIVE, under which no schema can be rewritten; Python names it from 3.12 on."""

log = logging.getLogger("agora.builtin")


def version_of(connection: sqlite3.Connection) -> int:
    """Return the version that the file says of itself."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    return int(version)


def migrate(connection: sqlite3.Connection, migrations: Mapping[int, Migration], *, to: int, name: str) -> None:
    """Do what leads to version *to*; another process may do so at the same time, or have done it. *name* is for logs.

    Raises `sqlite3.Error` when nothing was changed, and `ConfigError` when no migration leads there.
    """
    # What was read before this lock may be of yesterday: only one of two processes finds the old version under it.
    connection.execute("BEGIN IMMEDIATE")
    try:
        found = version_of(connection)
        missing = [version for version in range(found + 1, to + 1) if version not in migrations]
        if missing:
            raise ConfigError(f"{name} is of format {found}, from which nothing leads to format {missing[0]}")
        for version in range(found + 1, to + 1):
            for step in migrations[version]:
                _do(connection, step)
            connection.execute(f"PRAGMA user_version = {version}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    if found < to:
        log.info("store brought to a new format", extra={"store": name, "from_format": found, "to_format": to})


def rewrite_table(table: str, changes: Mapping[str, str]) -> Step:
    """Return the step that puts other words into how *table* was created, without touching a row of it.

    SQLite allows that where no row need change: for a CHECK that lets through more, or for columns behind the others
    that have a default.
    """

    def rewrite(connection: sqlite3.Connection) -> None:
        _allow_rewriting(connection)
        chosen = "type = 'table' AND name = ?"
        (text,) = connection.execute(f"SELECT sql FROM sqlite_schema WHERE {chosen}", [table]).fetchone()  # noqa: S608
        for old, new in changes.items():
            if old not in text:
                raise ConfigError(f"the table {table!r} was not made by Agora: there is no {old!r} in it")
            text = text.replace(old, new)
        (generation,) = connection.execute("PRAGMA schema_version").fetchone()
        connection.execute("PRAGMA writable_schema = ON")
        try:
            connection.execute(f"UPDATE sqlite_schema SET sql = ? WHERE {chosen}", [text, table])  # noqa: S608
            connection.execute(f"PRAGMA schema_version = {generation + 1}")  # so that other connections read it anew
        finally:
            connection.execute("PRAGMA writable_schema = RESET")  # and this one too; a text that is no SQL fails here

    return rewrite


def _do(connection: sqlite3.Connection, step: Step) -> None:
    if isinstance(step, str):
        connection.execute(step)
    else:
        step(connection)


def _allow_rewriting(connection: sqlite3.Connection) -> None:
    # Some systems' own SQLite forbids it, until it is told otherwise; before Python 3.12 it cannot be told.
    configure = getattr(connection, "setconfig", None)
    if configure is not None:
        configure(_DEFENSIVE, False)
