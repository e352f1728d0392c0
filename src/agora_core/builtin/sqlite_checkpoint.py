"""Moves the write-ahead log into the database, never at a moment when any process writes.

SQLite before 3.51.3 can corrupt a log that one connection writes while another restarts it after a checkpoint. So each
transaction is made under a shared lock on a file beside the database, and each checkpoint under an exclusive one.
"""

import fcntl
import logging
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager

from agora_core.builtin.sqlite_file import SqliteFile

CHECKPOINT_AT = 4 << 20
"""The length of the log, in bytes, from which a checkpoint is tried after each transaction."""

ALARM_AT = 64 << 20
"""The length from which it is waited for, and said."""

_PATIENCE_SECONDS = 1.0
_PAUSE_SECONDS = 0.005

log = logging.getLogger("agora.builtin")


class CheckpointLock:
    """The lock file of one open store."""

    def __init__(self, file: SqliteFile) -> None:
        self._file = file
        self._log = file.beside("-wal")
        self._alarmed = False
        self._lock = os.open(file.beside("-lock"), os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)

    def close(self) -> None:
        """Let go of the lock file."""
        os.close(self._lock)

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Keep checkpoints out; raise `StoreError` when one goes on for longer than the busy time-out."""
        if not self._take(fcntl.LOCK_SH, self._file.busy_timeout_seconds):
            raise self._file.locked()
        try:
            yield
        finally:
            fcntl.flock(self._lock, fcntl.LOCK_UN)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep everyone out, if that is possible within the busy time-out: the last connection's close checkpoints."""
        taken = self._take(fcntl.LOCK_EX, self._file.busy_timeout_seconds)
        try:
            yield
        finally:
            if taken:
                fcntl.flock(self._lock, fcntl.LOCK_UN)

    @contextmanager
    def excluding(self) -> Iterator[None]:
        """Keep everyone out; raise `StoreError` when somebody goes on for longer than the busy time-out."""
        if not self._take(fcntl.LOCK_EX, self._file.busy_timeout_seconds):
            raise self._file.locked()
        try:
            yield
        finally:
            fcntl.flock(self._lock, fcntl.LOCK_UN)

    def checkpoint_when_due(self, connection: sqlite3.Connection) -> None:
        """Make a checkpoint when the log is long and nobody writes; a reader or another process may put it off."""
        length = self._log.stat().st_size if self._log.exists() else 0
        if length < CHECKPOINT_AT:
            self._alarmed = False
            return
        self.checkpoint(connection, _PATIENCE_SECONDS if length >= ALARM_AT else 0)
        if length >= ALARM_AT and not self._alarmed:
            self._alarmed = True
            log.warning("log of a store grows, a reader keeps it", extra={"path": str(self._log), "bytes": length})

    def checkpoint(self, connection: sqlite3.Connection, patience: float = _PATIENCE_SECONDS) -> None:
        """Make a checkpoint, unless somebody writes for longer than *patience* in seconds."""
        if self._take(fcntl.LOCK_EX, patience):
            try:
                connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
            finally:
                fcntl.flock(self._lock, fcntl.LOCK_UN)

    def _take(self, sort: int, patience: float) -> bool:
        end = time.monotonic() + patience
        while True:
            try:
                fcntl.flock(self._lock, sort | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() >= end:
                    return False
                time.sleep(_PAUSE_SECONDS)
            else:
                return True
