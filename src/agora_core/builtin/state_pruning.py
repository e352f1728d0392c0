"""What is old in the SQLite state store, found a page at a time, so that nobody waits for all of it."""

# ruff: noqa: S608  # every value is bound, and the names are ours

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass

from agora_core.builtin.state_queries import DELETE_DECISION, DELETE_REQUEST, DELETE_RUN

_ROWS = 500
"""So many rows are deleted in one transaction."""
_PIPELINES = 500
"""So many pipelines are looked through in one turn of the reading thread."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _History:
    """A table of history: how its rows are found and deleted."""

    table: str
    order: tuple[str, ...]
    """The columns by which the last ones of a pipeline are the last."""
    old: str
    """What makes a row old enough; its one parameter is `:before`."""
    delete: str


_HISTORIES = (
    _History(
        table="runs",
        order=("started_at", "number"),
        # A run that ended before then started before then, unless the clock was set: the index needs the start.
        old="started_at < :before AND outcome IS NOT NULL AND ended_at < :before",
        delete=DELETE_RUN,
    ),
    _History(table="decisions", order=("at", "row"), old="at < :before", delete=DELETE_DECISION),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """How far the search has come: what is before this pipeline of this history was found."""

    history: int = 0
    pipeline_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Rows to delete, the statement that deletes one of them, and where to go on; None at the end."""

    rows: list[int]
    delete: str
    following: Place | None


def next_page(reader: sqlite3.Connection, place: Place, *, before: int, keep: int) -> Page:
    """Return the next rows that are older than *before*, but not among the last *keep* of their pipeline."""
    if place.history == len(_HISTORIES):
        return _old_answers(reader, place, before)
    history = _HISTORIES[place.history]
    rows: list[int] = []
    for seen, pipeline_id in enumerate(_pipelines(reader, history.table, place.pipeline_id)):
        here = Place(history=place.history, pipeline_id=pipeline_id)
        if seen == _PIPELINES:
            return Page(rows=rows, delete=history.delete, following=here)
        rows += _old_rows(reader, history, pipeline_id, before=before, keep=keep, most=_ROWS - len(rows))
        if len(rows) == _ROWS:  # there may be more of this one
            return Page(rows=rows, delete=history.delete, following=here)
    return Page(rows=rows, delete=history.delete, following=Place(history=place.history + 1))


def _pipelines(reader: sqlite3.Connection, table: str, first: str) -> Iterator[str]:
    """Yield the pipelines in *table* from *first* on, at the cost of one look into the index for each."""
    sql = f"SELECT min(pipeline_id) FROM {table} WHERE pipeline_id"
    (found,) = reader.execute(f"{sql} >= ?", [first]).fetchone()
    while found is not None:
        yield found
        (found,) = reader.execute(f"{sql} > ?", [found]).fetchone()


def _old_rows(
    reader: sqlite3.Connection, history: _History, pipeline_id: str, *, before: int, keep: int, most: int
) -> list[int]:
    columns = ", ".join(history.order)
    bounds: dict[str, object] = {"pipeline": pipeline_id, "before": before, "most": most}
    where = f"pipeline_id = :pipeline AND {history.old}"
    if keep > 0:
        latest = f"SELECT {columns} FROM {history.table} WHERE pipeline_id = ?"
        descending = ", ".join(f"{column} DESC" for column in history.order)
        kept = reader.execute(f"{latest} ORDER BY {descending} LIMIT 1 OFFSET ?", [pipeline_id, keep - 1]).fetchone()
        if kept is None:
            return []
        bounds |= dict(zip(history.order, kept, strict=True))
        where += f" AND ({columns}) < ({', '.join(f':{column}' for column in history.order)})"
    sql = f"SELECT row FROM {history.table} WHERE {where} ORDER BY {columns} LIMIT :most"
    return [row for (row,) in reader.execute(sql, bounds)]


def _old_answers(reader: sqlite3.Connection, place: Place, before: int) -> Page:
    sql = "SELECT number FROM requests WHERE answered_at < ? ORDER BY answered_at LIMIT ?"
    rows = [number for (number,) in reader.execute(sql, [before, _ROWS])]
    return Page(rows=rows, delete=DELETE_REQUEST, following=place if len(rows) == _ROWS else None)
