"""A connection that writes lists of records into one table, a transaction for each list. All of it blocks."""

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Literal

from agora_core.builtin.fields import fields_of
from agora_core.builtin.paths import both_ways, unusable
from agora_core.builtin.sqlite_table import Table, folded, quoted
from agora_core.spec.errors import PartialWriteError, RunError
from agora_core.spec.records import Record

TableMode = Literal["append", "replace", "upsert"]

_RECORD_ERRORS = (
    sqlite3.IntegrityError,
    sqlite3.DataError,
    sqlite3.InterfaceError,
    sqlite3.ProgrammingError,
    OverflowError,
    ValueError,
    TypeError,
)
"""What SQLite raises because of a value; everything else is the database's own trouble."""

_STAGED = "agora_replacement"

_Write = tuple[int, str, Sequence[object]]
"""The index of a record, its statement and its values."""


class RowWriter:
    """Writes into *table*. With the mode `replace` the rows wait in a temporary table until `publish`."""

    def __init__(
        self, path: Path, table: str, mode: TableMode, key: Sequence[str], busy_timeout_seconds: float
    ) -> None:
        self._path = path
        self._name = table
        self._mode = mode
        self._connection = _connected(path, busy_timeout_seconds)
        try:
            staged = mode == "replace"
            name, stands_for = (_STAGED, table) if staged else (table, "")
            self._table = Table(self._connection, name, key=key, stands_for=stands_for)
            self._transact(self._table.load)
        except BaseException:
            self._connection.close()
            raise

    def write(self, records: Sequence[Record]) -> None:
        """Write *records* in one transaction; raise `PartialWriteError` when some of them cannot be."""
        failed: dict[int, Exception] = {}
        self._transact(lambda: self._write(records, failed), locked=self._mode != "replace")
        if failed:
            raise PartialWriteError(failed)

    def publish(self) -> None:
        """End well: rows that were to replace the table's do so."""
        try:
            if self._mode == "replace":
                self._transact(self._replace)
        finally:
            self._connection.close()

    def discard(self) -> None:
        """End badly: the temporary table goes with the connection."""
        self._connection.close()

    def _write(self, records: Sequence[Record], failed: dict[int, Exception]) -> None:
        writes: list[_Write] = []
        for index, record in enumerate(records):
            try:
                writes.append((index, *self._table.row(record)))
            except (TypeError, ValueError) as exc:
                failed[index] = exc
        self._connection.execute("SAVEPOINT batch")
        try:
            for statement, same in groupby(writes, key=itemgetter(1)):
                self._connection.executemany(statement, [values for _, _, values in same])
        except _RECORD_ERRORS:
            self._connection.execute("ROLLBACK TO batch")
            self._write_each(records, writes, failed)

    def _write_each(self, records: Sequence[Record], writes: Sequence[_Write], failed: dict[int, Exception]) -> None:
        """Write row by row, to find those at fault."""
        for index, statement, values in writes:
            self._connection.execute("SAVEPOINT row")
            try:
                self._connection.execute(statement, values)
            except _RECORD_ERRORS as exc:
                self._connection.execute("ROLLBACK TO row")
                failed[index] = _named(exc, fields_of(records[index]))
            self._connection.execute("RELEASE row")

    def _replace(self) -> None:
        """Put the staged rows in the place of the table's own; its definition, indexes and triggers stay."""
        execute = self._connection.execute
        staged = execute("SELECT name, type FROM pragma_table_info(?, 'temp')", (_STAGED,)).fetchall()
        known = {folded(name) for (name,) in execute("SELECT name FROM pragma_table_info(?, 'main')", (self._name,))}
        target = f"main.{quoted(self._name)}"
        if known:
            execute(f"DELETE FROM {target}")  # noqa: S608  # every name is quoted
            for name, declared in staged:
                if folded(name) not in known:
                    execute(f"ALTER TABLE {target} ADD COLUMN {quoted(name)} {declared}")
        elif staged:
            execute(f"CREATE TABLE {target} ({', '.join(f'{quoted(name)} {declared}' for name, declared in staged)})")
        if staged:
            columns = ", ".join(quoted(name) for name, _ in staged)
            execute(f"INSERT INTO {target} ({columns}) SELECT {columns} FROM temp.{_STAGED} ORDER BY rowid")  # noqa: S608

    def _transact(self, action: Callable[[], None], *, locked: bool = True) -> None:
        """Do *action* in a transaction, *locked* unless it leaves the database itself alone."""
        try:
            # The lock for writing at once: a transaction that asks for it later fails without waiting for it.
            self._connection.execute("BEGIN IMMEDIATE" if locked else "BEGIN")
            action()
            self._connection.execute("COMMIT")
        except BaseException as exc:
            self._table.forget()
            self._roll_back()
            if isinstance(exc, sqlite3.Error):
                raise RunError(f"cannot write to table {self._name!r} of {both_ways(self._path)}: {exc}") from exc
            raise

    def _roll_back(self) -> None:
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")


def _connected(path: Path, busy_timeout_seconds: float) -> sqlite3.Connection:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise unusable(path, "write", exc) from exc
    if path.is_dir():
        raise RunError(f"{both_ways(path)} is a directory; name a file in it")
    try:
        return sqlite3.connect(path, timeout=busy_timeout_seconds, isolation_level=None)
    except sqlite3.Error as exc:
        raise RunError(f"cannot open the database {both_ways(path)}: {exc}") from exc


def _named(error: Exception, fields: Mapping[str, object]) -> Exception:
    """Return the *error* as one that names the field, where sqlite3 does not."""
    large = [name for name, value in fields.items() if isinstance(value, int) and not -(2**63) <= value < 2**63]
    if isinstance(error, OverflowError) and large:
        return ValueError(f"field {', '.join(large)!r}: SQLite has integers of 64 bits only")
    if isinstance(error, UnicodeEncodeError):
        torn = [name for name, value in fields.items() if value == error.object]
        return ValueError(f"field {', '.join(torn)!r}: its text has lone surrogates, which UTF-8 has no place for")
    return error
