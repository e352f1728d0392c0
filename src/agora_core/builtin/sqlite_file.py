"""What the file of a store is, how it must be opened, and what its errors mean."""

import os
import sqlite3
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from agora_core.builtin.sqlite_errors import BUSY, FORBIDDEN, code_of, is_damage, is_failing_disk, is_full
from agora_core.builtin.sqlite_migrations import Migration
from agora_core.builtin.sqlite_owners import holders
from agora_core.builtin.sqlite_salvage import SavedTable
from agora_core.spec.errors import AgoraError, ConfigError, StoreError

OLDEST_SQLITE = (3, 37, 0)
"""The first SQLite with both STRICT tables and RETURNING."""

Identity: TypeAlias = tuple[int, int]
"""What tells a file from another one of the same name."""

WAL_KEPT = 1 << 20
"""How long the write-ahead log stays after a checkpoint, in bytes."""

_PAUSE_SECONDS = 0.01
"""How long somebody waits who was refused a lock at once, in seconds."""

_MARKED = 80
"""So many characters of a schema are like no other's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SqliteFile:
    """A SQLite file of Agora: where, for what, and in which version of its tables."""

    path: Path
    kind: str
    """What it is in words: `dead-letter store`, `state store`."""
    application_id: int
    version: int
    schema: str
    migrations: Mapping[int, Migration] = field(default_factory=dict)
    """What makes a file of the version before one of the version named."""
    busy_timeout_seconds: float
    saved: Sequence[SavedTable] = ()
    """What is worth saving out of a damaged one."""

    @property
    def marker(self) -> bytes:
        """Return what stands near the beginning of each file of this kind: how its first table was made."""
        return self.schema.strip()[:_MARKED].encode()

    @property
    def name(self) -> str:
        """What errors call it."""
        return f"the {self.kind} {str(self.path)!r}"

    def beside(self, suffix: str) -> Path:
        """Return the path of a file that belongs to this one, such as its `-wal`."""
        return self.path.with_name(self.path.name + suffix)

    def connect(self, *, writing: bool) -> sqlite3.Connection:
        """Return a connection that has every pragma it must have; raise `ConfigError` when one did not stick."""
        connection = self.connect_plainly("rw")
        connection.text_factory = _text  # a damaged row must not keep the others from being read
        try:
            for pragma, value, expected in self._pragmas(writing=writing):
                self._set(connection, pragma, value)
                (found,) = connection.execute(f"PRAGMA {pragma}").fetchone()
                if found != expected:
                    raise ConfigError(
                        f"{self.name} cannot be kept safely: SQLite answers {pragma} = {found!r} where {expected!r} is "
                        "needed; is it on a network file system?"
                    )
        except BaseException:
            connection.close()
            raise
        return connection

    def connect_plainly(self, mode: str) -> sqlite3.Connection:
        """Return a connection without any pragma set; *mode* is SQLite's `ro` or `rw`, which never create a file."""
        return sqlite3.connect(
            f"{self.path.absolute().as_uri()}?mode={mode}",
            uri=True,
            timeout=self.busy_timeout_seconds,
            isolation_level=None,  # every transaction says itself how it begins
            check_same_thread=False,
        )

    def identity(self) -> Identity | None:
        """Return what tells the file from another one of the same name; None when there is none."""
        try:
            found = self.path.stat()
        except OSError:
            return None
        return found.st_dev, found.st_ino

    def explain(self, error: Exception, *, needed: int = 0) -> StoreError:
        """Return what *error* means for the store's user; *needed* bytes were to be written."""
        if isinstance(error, AgoraError):
            return error if isinstance(error, StoreError) else StoreError(str(error))
        code = code_of(error)
        if code in BUSY:
            return self.locked()
        if is_full(error, self.path):
            return self.full(needed)
        if is_damage(error):
            return StoreError(
                f"{self.name} is damaged: {error}; move it away together with its '-wal' file, keep both for rescue"
            )
        if code in FORBIDDEN:
            return StoreError(f"{self.name} cannot be written: {error}; {self.permissions()}")
        failed = f"{self.name} failed: {type(error).__name__}: {error}"
        if is_failing_disk(error):
            failed += (
                "; the disk does not do what it is told: look into the system's log, and move the file to a sound disk "
                "while nobody uses it; nothing that was acknowledged is given up"
            )
        return StoreError(failed)

    def unmended(self, error: Exception) -> StoreError:
        """Return the error of a damaged file into whose place no new one could be put, because of *error*."""
        return StoreError(f"{self.name} is damaged, and stays where it is: {self.explain(error)}")

    def full(self, needed: int) -> StoreError:
        """Return the error of a disk that has no room for *needed* bytes more."""
        return StoreError(
            f"the disk of {self.name} is full: {needed or 'some'} bytes more could not be written; free some "
            "space, nothing that was acknowledged is lost"
        )

    def locked(self) -> StoreError:
        """Return the error of a lock that was not let go in time."""
        pids = ", ".join(map(str, holders(self.connect_plainly)))
        also = f"; it is open in process {pids}" if pids else ""
        return StoreError(
            f"{self.name} is locked by another process for more than {self.busy_timeout_seconds:g} seconds{also}"
        )

    def permissions(self) -> str:
        """Return who we are and whose the file's directory is, for errors."""
        folder = self.path.absolute().parent
        while not folder.exists() and folder != folder.parent:
            folder = folder.parent
        try:
            known = folder.stat()
        except OSError as exc:
            return f"the directory {str(folder)!r} cannot be looked at: {exc.strerror}"
        return (
            f"this process runs as uid {os.geteuid()}, the directory {str(folder)!r} belongs to uid {known.st_uid} "
            f"with mode {known.st_mode & 0o7777:04o}"
        )

    def _set(self, connection: sqlite3.Connection, pragma: str, value: str | int) -> None:
        # Two connections that both turn a file with a rollback journal into one with a log hold what the other one
        # needs: SQLite refuses one of them at once, whatever the busy timeout.
        deadline = time.monotonic() + self.busy_timeout_seconds
        while True:
            try:
                connection.execute(f"PRAGMA {pragma} = {value}")
            except sqlite3.Error as exc:
                if code_of(exc) not in BUSY or time.monotonic() >= deadline:
                    raise
                time.sleep(_PAUSE_SECONDS)
            else:
                return

    def _pragmas(self, *, writing: bool) -> list[tuple[str, str | int, str | int]]:
        milliseconds = round(self.busy_timeout_seconds * 1000)
        return [
            ("busy_timeout", milliseconds, milliseconds),
            ("journal_mode", "wal", "wal"),
            ("synchronous", "full", 2),
            # macOS: fsync alone does not reach the disk.
            ("fullfsync", "on", 1),
            ("checkpoint_fullfsync", "on", 1),
            # Checkpoints are made under a lock of ours; see `sqlite_checkpoint`.
            ("wal_autocheckpoint", 0, 0),
            ("journal_size_limit", WAL_KEPT, WAL_KEPT),
            ("trusted_schema", "off", 0),
            ("cell_size_check", "on", 1),
            ("query_only", "off" if writing else "on", 0 if writing else 1),
        ]


def _text(stored: bytes) -> str:
    return stored.decode("utf-8", "backslashreplace")
