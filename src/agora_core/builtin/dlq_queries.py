"""What a `LetterQuery` is in SQL. A lease that is over makes its letter dead again, without anyone writing it."""

import json
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import chain

from agora_core.builtin.dlq_columns import COLUMNS
from agora_core.builtin.dlq_rows import STORED, Stored
from agora_core.builtin.sqlite_moments import microseconds
from agora_core.codec.description import printable
from agora_core.spec.letters import LetterQuery, LetterState

_COLUMNS = ", ".join(COLUMNS)
_AT_ONCE = (64, 16, 4, 1)
"""How many rows a statement inserts: few sizes, so that SQLite need not take apart new ones."""

_NEW_ROW = f"({', '.join('?' * len(STORED))})"
LAST_ID = "SELECT coalesce(max(id), 0) FROM letters"
RESOLVE = (
    "UPDATE letters SET state = ?, lease_token = NULL, lease_until = NULL, resolved_at = ?, replayed_run_id = ?"
    " WHERE id IN (SELECT value FROM json_each(?)) AND state = 'leased' AND lease_token = ?"
)
HELD = "SELECT attempts_log FROM letters WHERE id = ? AND state = 'leased' AND lease_token = ?"
GIVE_BACK_FAILED = (
    "UPDATE letters SET state = 'dead', lease_token = NULL, lease_until = NULL, attempts_log = ?, last_failed_at = ?"
    " WHERE id = ?"
)
GIVE_BACK_UNTRIED = (
    "UPDATE letters SET state = 'dead', lease_token = NULL, lease_until = NULL, attempts = attempts - 1 WHERE id = ?"
)


@dataclass(frozen=True, slots=True)
class Statement:
    """SQL and its parameters."""

    sql: str
    parameters: Sequence[object]

    def run(self, connection: sqlite3.Connection) -> sqlite3.Cursor:
        """Execute it on *connection*."""
        return connection.execute(self.sql, self.parameters)


def as_list(ids: Sequence[int]) -> str:
    """Return *ids* as the one parameter that any number of them are."""
    return json.dumps(list(ids))


def insertions(rows: Sequence[Stored]) -> Iterator[Statement]:
    """Insert *rows*, several with each statement: to begin and end one costs as much as a row does."""
    begin = 0
    for many in _AT_ONCE:
        while len(rows) - begin >= many:
            yield Statement(_insert(many), [*chain.from_iterable(rows[begin : begin + many])])
            begin += many


@cache
def _insert(many: int) -> str:
    values = ", ".join([_NEW_ROW] * many)
    return f"INSERT INTO letters ({', '.join(STORED)}) VALUES {values} ON CONFLICT (uid) DO NOTHING"  # noqa: S608  # names of ours


def find(query: LetterQuery, *, now: int, limit: int | None, after_id: int) -> Statement:
    """Select the rows that match, by id."""
    chosen = _ids(query, query.states or tuple(LetterState), now=now, limit=limit, after_id=after_id)
    return Statement(f"SELECT {_COLUMNS} FROM letters WHERE id IN ({chosen.sql}) ORDER BY id", chosen.parameters)  # noqa: S608


def count(query: LetterQuery, *, now: int) -> Statement:
    """Count the rows that match."""
    chosen = _ids(query, query.states or tuple(LetterState), now=now)
    return Statement(f"SELECT count(*) FROM ({chosen.sql})", chosen.parameters)  # noqa: S608


def lease(query: LetterQuery, *, now: int, token: str, until: int, limit: int) -> Statement:
    """Lease the first rows that match and are dead; return their ids and how often each was tried, in any order."""
    chosen = _ids(query, query.states, now=now, limit=limit)
    return Statement(
        "UPDATE letters SET state = 'leased', lease_token = ?, lease_until = ?, attempts = attempts + 1"  # noqa: S608
        f" WHERE id IN ({chosen.sql}) RETURNING id, attempts",
        [token, until, *chosen.parameters],
    )


def move(query: LetterQuery, state: LetterState, *, now: int, limit: int, note: str = "") -> Statement:
    """Move the first rows that match to *state*, where whoever leased them holds them no more."""
    chosen = _ids(query, query.states, now=now, limit=limit)
    resolved_at = now if state is LetterState.DISCARDED else None
    return Statement(
        "UPDATE letters SET state = ?, lease_token = NULL, lease_until = NULL, resolved_at = ?,"  # noqa: S608
        f" note = coalesce(?, note) WHERE id IN ({chosen.sql})",
        [state.value, resolved_at, printable(note) or None, *chosen.parameters],
    )


def purge(query: LetterQuery, *, now: int, limit: int) -> Statement:
    """Delete rows that match: the first ones, or those resolved first where the query asks for these."""
    chosen = _ids(query, query.states, now=now, limit=limit, by_resolution=query.resolved_before is not None)
    return Statement(f"DELETE FROM letters WHERE id IN ({chosen.sql})", chosen.parameters)  # noqa: S608


def page(after_id: int, limit: int) -> Statement:
    """Select whole rows, whatever is in them."""
    return Statement(f"SELECT {_COLUMNS} FROM letters WHERE id > ? ORDER BY id LIMIT ?", [after_id, limit])  # noqa: S608


def _ids(  # what is asked for, and how much of it
    query: LetterQuery,
    states: Sequence[LetterState],
    *,
    now: int,
    limit: int | None = None,
    after_id: int = 0,
    by_resolution: bool = False,
) -> Statement:
    """Select the ids that match, in their order, one arm for each state: SQLite merges what an index has sorted.

    Those *by_resolution* come in the order of that index: were they sorted by id, each piece of a purge would read
    all that match.
    """
    fields = list(_fields(query, after_id, by_resolution=by_resolution))
    common = "".join(f" AND {sql}" for sql, _ in fields)
    values = [value for _, value in fields]
    state = f"{_unindexed(query)}state"
    arms, parameters = [], []
    for condition, more in _arms(states, state, now):
        arms.append(f"SELECT id FROM letters WHERE {condition}{common}")  # noqa: S608
        parameters += [*more, *values]
    if not arms:
        return Statement("SELECT id FROM letters WHERE 0", [])
    most = -1 if limit is None else max(limit, 0)
    order = "" if by_resolution else " ORDER BY id"
    return Statement(f"SELECT id FROM ({' UNION ALL '.join(arms)}{order} LIMIT ?)", [*parameters, most])  # noqa: S608


def _unindexed(query: LetterQuery) -> str:
    # A query by ids looks these up; the index of all that are dead, or of a pipeline, would be the long way round.
    return "+" if query.ids else ""


def _arms(states: Sequence[LetterState], column: str, now: int) -> Iterator[tuple[str, list[object]]]:
    for state in dict.fromkeys(states):
        if state is LetterState.LEASED:
            yield f"{column} = 'leased' AND lease_until > ?", [now]
        else:
            yield f"{column} = ?", [state.value]
        if state is LetterState.DEAD:
            yield f"{column} = 'leased' AND lease_until <= ?", [now]


def _fields(query: LetterQuery, after_id: int, *, by_resolution: bool) -> Iterator[tuple[str, object]]:
    if query.ids:
        yield "id IN (SELECT value FROM json_each(?))", as_list(query.ids)
    plus = "+" if by_resolution else _unindexed(query)
    for name in ("pipeline_id", "run_id", "stage", "error_type"):
        wanted = getattr(query, name)
        if wanted is not None:
            yield f"{plus}{name} = ?", printable(wanted)
    if query.since is not None:
        yield "first_failed_at >= ?", microseconds(query.since)
    if query.until is not None:
        yield "first_failed_at < ?", microseconds(query.until)
    if query.resolved_before is not None:
        yield "resolved_at < ?", microseconds(query.resolved_before)
    if query.up_to_id is not None:
        yield f"{'+' if by_resolution else ''}id <= ?", query.up_to_id
    if after_id:
        yield "id > ?", after_id
