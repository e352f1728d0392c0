"""The reading connection of a store, which goes on in the new file when the old one was damaged."""

import sqlite3
from collections.abc import Callable
from typing import TypeVar

from agora_core.builtin.sqlite_errors import is_damage
from agora_core.builtin.sqlite_file import SqliteFile
from agora_core.builtin.sqlite_quarantine import is_aside
from agora_core.builtin.sqlite_rescue import Rescuer
from agora_core.spec.errors import AgoraError

T = TypeVar("T")


class SqliteReader:
    """Reads *file* on one thread."""

    def __init__(self, file: SqliteFile, connection: sqlite3.Connection, rescuer: Rescuer) -> None:
        self._file = file
        self._connection: sqlite3.Connection | None = connection
        self._identity = file.identity()
        self._rescuer = rescuer
        self._attempts = rescuer.attempts

    def look(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Return what *work* sees of one moment; damage that stays is mended, and looked at again."""
        damages = 0
        while True:
            try:
                return self._looked(self._connected(), work)
            except (sqlite3.Error, OSError) as exc:
                self.close()
                damages += is_damage(exc)
                if not is_damage(exc) or damages > 2:  # twice the old file, once the new one
                    raise self._file.explain(exc) from exc
                if damages == 2:  # not only what this process had in its memory
                    self._rescue()

    def close(self) -> None:
        """Let go of the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _rescue(self) -> None:
        try:
            self._rescuer.rescue(self._identity)
        except (sqlite3.Error, OSError, AgoraError) as exc:
            raise self._file.unmended(exc) from exc

    def _looked(self, connection: sqlite3.Connection, work: Callable[[sqlite3.Connection], T]) -> T:
        connection.execute("BEGIN")
        try:
            return work(connection)
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")

    def _connected(self) -> sqlite3.Connection:
        found = self._file.identity()
        if self._attempts != self._rescuer.attempts or (
            found != self._identity and is_aside(self._file, self._identity)
        ):
            self.close()
        if self._connection is None:
            self._attempts = self._rescuer.attempts
            self._connection, self._identity = self._rescuer.connected(writing=False)
        return self._connection
