"""Takes the rows that can still be read out of a damaged file, and puts them into a new one."""

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import TypeAlias

from agora_core.builtin.sqlite_cells import Cell, Value, cells
from agora_core.builtin.sqlite_pages import Pages

Mend: TypeAlias = Callable[[Mapping[str, object]], tuple[Mapping[str, object], bool] | None]
"""Returns the row as it can be kept and whether all of it is sound, or None for what is none of the table's rows."""

_LARGEST_ID = 1 << 53
"""A greater number was not given by us: behind it SQLite would soon have none left."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedTable:
    """A table whose rows are worth saving. They need a checksum: rows are known by their looks alone.

    An entry of one index of it has *index_width* values, as no other index has: it tells which rows there were.
    """

    name: str
    mend: Mend
    index_width: int = 0


@dataclass(slots=True)
class Saved:
    """What came of it: how many rows are in the new file, and of those that are not, which are known."""

    rows: int = 0
    in_part: int = 0
    lost: set[int] = field(default_factory=set)
    """The numbers of rows that an index still names."""
    unreadable: int = 0
    """How many places could not be read in pages that have rows or entries of an index."""


def salvage(
    pages: Pages, tables: Sequence[SavedTable], into: sqlite3.Connection, *, most_pages: int | None = None
) -> Saved:
    """Put every row of *tables* that *pages* still show *into* an empty file of ours; raise `sqlite3.Error`."""
    saved = Saved()
    savers = [_Saver(table, into) for table in tables]
    into.execute("BEGIN IMMEDIATE")
    for number in islice(pages.in_use(), most_pages):
        for cell in cells(pages, number):
            if cell is None:
                saved.unreadable += 1
                continue
            for saver in savers:
                saver.look(cell)
    for saver in savers:
        saver.end(saved)
    into.execute("COMMIT")
    return saved


class _Saver:
    """Saves the rows of one table."""

    def __init__(self, table: SavedTable, into: sqlite3.Connection) -> None:
        self._table = table
        self._into = into
        known = into.execute(f"PRAGMA table_xinfo({table.name})").fetchall()
        self._columns = [name for _, name, *_ in known]
        self._least = 1 + max(place for place, _, _, required, default, *_ in known if required and default is None)
        (without_rowid,) = into.execute("SELECT wr FROM pragma_table_list(?)", [table.name]).fetchone()
        keys = [name for _, name, _, _, _, key, *_ in known if key]
        self._key = "" if without_rowid else keys[0]
        self._defaults = {name: _literal(default) for _, name, _, _, default, *_ in known if default is not None}
        self._ids: set[int] = set()
        self._named: set[int] = set()
        self._greatest = 0
        self._rows = self._in_part = 0

    def look(self, cell: Cell) -> None:
        """Keep what *cell* is, if it is of this table."""
        values = cell.values
        if (cell.rowid is None) == (not self._key) and self._least <= len(values) <= len(self._columns):
            self._save(cell.rowid, values)
        elif cell.rowid is None and len(values) == self._table.index_width and isinstance(values[-1], int):
            self._named.add(values[-1])
        elif cell.rowid is not None and len(values) == 2 and values[0] == self._table.name:
            # A row of SQLite's own table of the greatest numbers that were ever given.
            self._greatest = max(self._greatest, _given(values[1]))

    def end(self, saved: Saved) -> None:
        """Add what came of it to *saved*, and give no number again that was given."""
        saved.rows += self._rows
        saved.in_part += self._in_part
        saved.lost |= self._named - self._ids
        greatest = max([self._greatest, *filter(_given, self._named | self._ids)])
        if self._key and greatest and self._has_sequence():
            self._into.execute("DELETE FROM sqlite_sequence WHERE name = ?", [self._table.name])
            self._into.execute("INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)", [self._table.name, greatest])

    def _save(self, rowid: int | None, values: tuple[Value, ...]) -> None:
        row: dict[str, object] = {**self._defaults, **dict(zip(self._columns, values, strict=False))}
        if self._key:
            row[self._key] = rowid
        mended = self._table.mend(row)
        if mended is None:
            return
        new, is_sound = mended
        number = _given(rowid)
        if self._insert({**new, self._key: number or None} if self._key else new) or (
            # Its number is another row's: it gets one of its own.
            self._key and self._insert({**new, self._key: None})
        ):
            self._ids.add(number)
            self._rows += 1
            self._in_part += not is_sound

    def _insert(self, row: Mapping[str, object]) -> bool:
        statement = f"INSERT OR IGNORE INTO {self._table.name} ({', '.join(row)}) VALUES ({', '.join('?' * len(row))})"  # noqa: S608  # names of ours
        return self._into.execute(statement, [*row.values()]).rowcount == 1

    def _has_sequence(self) -> bool:
        found = self._into.execute("SELECT 1 FROM sqlite_schema WHERE name = 'sqlite_sequence'").fetchone()
        return found is not None


def _given(number: object) -> int:
    """Return *number* if a row may have been given it, or 0."""
    return number if isinstance(number, int) and 0 < number < _LARGEST_ID else 0


def _literal(default: str) -> object:
    """Return what a default that is written as a text or a number means."""
    return default[1:-1].replace("''", "'") if default.startswith("'") else int(default)
