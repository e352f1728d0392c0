"""Writes records as rows of a SQLite table."""

from collections.abc import Sequence
from os import PathLike

from agora_core.builtin.own_thread import OwnThread
from agora_core.builtin.paths import file_path
from agora_core.builtin.sqlite_rows import RowWriter, TableMode
from agora_core.spec.errors import ConfigError, RunError
from agora_core.spec.numbers import finite_number
from agora_core.spec.records import Record


class SqliteSink:
    """Writes each record as a row; a table or columns that are missing are made from the records' fields.

    `append` adds rows, `upsert` replaces the fields of the row with the same *key* (and is the mode when a key is
    given), `replace` puts the rows of a run that ended well in the place of the table's. Nested lists and dicts are
    stored as JSON, moments as ISO 8601, NaN as NULL. Each batch is one transaction, in a thread of the sink's own.
    """

    atomic = True
    """A batch that failed as a whole left nothing in the table."""

    def __init__(
        self,
        path: str | PathLike[str],
        table: str,
        *,
        mode: TableMode | None = None,
        key: str | Sequence[str] = (),
        busy_timeout_seconds: float = 5.0,
    ) -> None:
        self.path = file_path(path, "a SqliteSink")
        self.table = _checked_table(table)
        self.key = _checked_key(key)
        self.mode = _checked_mode(mode, self.key)
        self.busy_timeout_seconds = finite_number("busy_timeout_seconds", busy_timeout_seconds, least=0, most=3600)
        self._thread = OwnThread(f"agora-sqlite-{self.path.name}")
        self._writer: RowWriter | None = None

    @property
    def idempotent(self) -> bool:
        """Whether writing a record twice is writing it once."""
        return self.mode == "upsert"

    @property
    def commits_at_close(self) -> bool:
        """Whether the rows count only when they have taken the place of the others."""
        return self.mode == "replace"

    @property
    def replaces(self) -> bool:
        """Whether the records take the place of all that was there, so that each run needs all of them."""
        return self.mode == "replace"

    async def open(self) -> None:
        """Open the database, or raise `RunError` when it cannot be written to."""
        if self._writer is not None:
            raise RunError(f"{self!r} is open already; give each pipeline its own")
        try:
            self._writer = await self._thread.acquire(self._opened, RowWriter.discard)
        except BaseException:
            self._thread.end()
            raise

    async def write_batch(self, records: Sequence[Record]) -> None:
        """Write *records* in one transaction; raise `PartialWriteError` for those that cannot be rows."""
        if self._writer is None:
            raise RunError(f"{self!r} is not open; call open() before it is written to")
        await self._thread.call(self._writer.write, records)

    async def close(self) -> None:
        """End well: with `replace` the rows take their place."""
        await self._end(good=True)

    async def abort(self) -> None:
        """End after a failure: with `replace` the table stays as it was."""
        await self._end(good=False)

    def __repr__(self) -> str:
        return f"SqliteSink({str(self.path)!r}, {self.table!r}, mode={self.mode!r})"

    def _opened(self) -> RowWriter:
        return RowWriter(self.path, self.table, self.mode, self.key, self.busy_timeout_seconds)

    async def _end(self, *, good: bool) -> None:
        writer, self._writer = self._writer, None
        if writer is not None:
            try:
                await self._thread.call(writer.publish if good else writer.discard)
            finally:
                self._thread.end()


def _checked_table(table: str) -> str:
    if not isinstance(table, str) or not table or "\0" in table or table.lower().startswith("sqlite_"):
        raise ConfigError(f"table must be a name that does not begin with 'sqlite_', not {table!r}")
    try:
        table.encode()
    except UnicodeEncodeError:
        raise ConfigError(f"table must be a name without lone surrogates, not {table!r}") from None
    return table


def _checked_key(key: str | Sequence[str]) -> tuple[str, ...]:
    names = (key,) if isinstance(key, str) else key
    if not isinstance(names, Sequence) or not all(isinstance(name, str) and name for name in names):
        raise ConfigError(f"key must be a column's name or a list of them, not {key!r}")
    return tuple(names)


def _checked_mode(mode: TableMode | None, key: tuple[str, ...]) -> TableMode:
    if mode not in (None, "append", "replace", "upsert"):
        raise ConfigError(f"mode must be 'append', 'replace' or 'upsert', not {mode!r}")
    if mode == "upsert" and not key:
        raise ConfigError("mode 'upsert' needs the key by which rows are found: key='id'")
    if key and mode not in (None, "upsert"):
        raise ConfigError(f"a key belongs to the mode 'upsert', not to {mode!r}")
    return mode or ("upsert" if key else "append")
