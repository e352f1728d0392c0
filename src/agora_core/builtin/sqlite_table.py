"""One table that a sink writes to: its columns, its key, and the statements for its rows. All of it blocks."""

import sqlite3
from collections.abc import Callable, Mapping, Sequence

from agora_core.builtin.fields import fields_of
from agora_core.builtin.sqlite_values import Convert, affinity, affinity_of, conversion
from agora_core.spec.errors import RunError
from agora_core.spec.records import Record

_PLANS = 1000
"""So many shapes of records are remembered; after that all are forgotten."""

_Shape = tuple[tuple[str, ...], tuple[type, ...]]


class Table:
    """A table that is made from the first record, and gets a column for each field that it has none for.

    A temporary one *stands for* another, whose rows its own are to be: what the columns of that would change is refused
    here.
    """

    def __init__(
        self, connection: sqlite3.Connection, name: str, *, key: Sequence[str] = (), stands_for: str = ""
    ) -> None:
        self._connection = connection
        self.name = name
        self._schema = "temp" if stands_for else "main"
        self.quoted = f"{self._schema}.{quoted(name)}"
        self._stands_for = stands_for
        self._key = tuple(key)
        self._most_columns = connection.getlimit(sqlite3.SQLITE_LIMIT_COLUMN)
        self.forget()

    def forget(self) -> None:
        """Look at the database again before the next row: a transaction was rolled back."""
        self.columns: dict[str, str] = {}
        """The affinity of each column by its name in lower case."""
        self._wanted: dict[str, str] = {}
        """The same of the table for which this one stands."""
        self._plans: dict[_Shape, _Plan] = {}
        self._key_is_unique = not self._key

    def row(self, record: Record) -> tuple[str, Sequence[object]]:
        """Return the statement that writes *record*, and the values for it; what the table lacks for it is added.

        Raises TypeError or ValueError when the record is at fault.
        """
        fields = fields_of(record)
        shape = (tuple(fields), tuple(map(type, fields.values())))
        plan = self._plans.get(shape)
        if plan is None:
            plan = self._plan(fields)
            if len(self._plans) >= _PLANS:
                self._plans.clear()
            self._plans[shape] = plan
        if not plan.conversions:
            return plan.statement, tuple(fields.values())
        return plan.statement, plan.values(fields)

    def load(self) -> None:
        """Look which columns the table has, none where there is no table."""
        self.columns = self._affinities(self.name, self._schema)
        if self._stands_for:
            self._wanted = self._affinities(self._stands_for, "main")

    def _affinities(self, table: str, schema: str) -> dict[str, str]:
        rows = self._connection.execute("SELECT name, type FROM pragma_table_info(?, ?)", (table, schema))
        return {folded(name): affinity_of(declared) for name, declared in rows}

    def _plan(self, fields: Mapping[str, object]) -> "_Plan":
        self._check_names(fields)
        if not self.columns:
            self.load()
        plan = _Plan(self._statement(tuple(fields)), self._conversions(fields))
        plan.values(fields)  # raises before the table is changed for a record that is never written
        self._add_columns(fields)
        self._make_key_unique()
        return plan

    def _check_names(self, fields: Mapping[str, object]) -> None:
        if not fields:
            raise ValueError("the record has no fields")
        seen: dict[str, str] = {}
        for name in fields:
            if "\0" in name or not _has_utf8(name):
                raise ValueError(f"field {name!r:.100}: SQLite has no column of that name; rename the field")
            other = seen.setdefault(folded(name), name)
            if other != name:
                raise ValueError(f"fields {other!r} and {name!r} are one column to SQLite; rename one of them")
        known = len(self.columns.keys() | seen.keys())
        if known > self._most_columns:
            raise ValueError(f"the table would have {known} columns, and SQLite allows {self._most_columns}")
        for name in self._key:
            if fields.get(name) is None:
                raise ValueError(f"field {name!r}: the record has no value for the key of the table")

    def _conversions(self, fields: Mapping[str, object]) -> dict[str, Convert]:
        columns = self.columns | self._wanted
        conversions = {
            name: conversion(type(value), columns.get(folded(name), "BLOB")) for name, value in fields.items()
        }
        return {name: convert for name, convert in conversions.items() if convert is not None}

    def _statement(self, names: tuple[str, ...]) -> str:
        columns = ", ".join(map(quoted, names))
        places = ", ".join("?" * len(names))
        statement = f"INSERT INTO {self.quoted} ({columns}) VALUES ({places})"  # noqa: S608  # every name is quoted
        if not self._key:
            return statement
        others = [quoted(name) for name in names if name not in self._key]
        changes = ", ".join(f"{name} = excluded.{name}" for name in others)
        action = f"UPDATE SET {changes}" if changes else "NOTHING"
        return f"{statement} ON CONFLICT ({', '.join(map(quoted, self._key))}) DO {action}"

    def _add_columns(self, fields: Mapping[str, object]) -> None:
        declared = {
            name: f"{quoted(name)} {self._wanted.get(folded(name), affinity(value))}".rstrip()
            for name, value in fields.items()
        }
        if self.columns.keys() >= set(map(folded, fields)):
            return
        self.load()  # another process may have been here
        missing = [name for name in fields if folded(name) not in self.columns]
        if not self.columns:
            key = [f"PRIMARY KEY ({', '.join(map(quoted, self._key))})"] if self._key else []
            self._connection.execute(f"CREATE TABLE {self.quoted} ({', '.join([*declared.values(), *key])})")
            self._key_is_unique = True
        else:
            for name in missing:
                self._connection.execute(f"ALTER TABLE {self.quoted} ADD COLUMN {declared[name]}")
        self.load()

    def _make_key_unique(self) -> None:
        """Make sure that the key of an older table is one, since an upsert needs that."""
        if self._key_is_unique:
            return
        if {folded(name) for name in self._key} not in self._unique_sets():
            index = quoted(f"agora_key_{self.name}_{'_'.join(self._key)}")
            place = f"{quoted(self.name)} ({', '.join(map(quoted, self._key))})"
            try:
                self._connection.execute(f"CREATE UNIQUE INDEX IF NOT EXISTS {index} ON {place}")
            except sqlite3.IntegrityError as exc:
                raise RunError(
                    f"table {self.name!r} has rows that share the key {', '.join(self._key)}; remove the doubles, or "
                    "choose another key"
                ) from exc
        self._key_is_unique = True

    def _unique_sets(self) -> list[set[str]]:
        """Return the sets of columns that are unique together."""
        execute = self._connection.execute
        primary = execute("SELECT name FROM pragma_table_info(?) WHERE pk > 0", (self.name,))
        sets = [{folded(name) for (name,) in primary}]
        indexes = execute('SELECT name FROM pragma_index_list(?) WHERE "unique" AND NOT partial', (self.name,))
        for (index,) in indexes.fetchall():
            parts = execute("SELECT name FROM pragma_index_info(?)", (index,)).fetchall()
            sets.append({folded(name) if name is not None else "\0expression" for (name,) in parts})
        return sets


class _Plan:
    """How records of one shape are written."""

    def __init__(self, statement: str, conversions: Mapping[str, Callable[[str, object], object]]) -> None:
        self.statement = statement
        self.conversions = conversions

    def values(self, fields: Mapping[str, object]) -> list[object]:
        """Return the values to bind, or raise an error that names the field."""
        convert = self.conversions
        return [convert[name](name, value) if name in convert else value for name, value in fields.items()]


def quoted(name: str) -> str:
    """Return *name* as an identifier, whatever stands in it."""
    return '"' + name.replace('"', '""') + '"'


def folded(name: str) -> str:
    """Return *name* as SQLite compares it: the letters A to Z are their small ones, all others themselves."""
    return "".join(char.lower() if char.isascii() else char for char in name)


def _has_utf8(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
