"""What a `LetterQuery` is in SQL. A lease that is over makes its letter dead again, without anyone writing it."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from agora_core.builtin.codec_description import printable
from agora_core.builtin.dlq_rows import COLUMNS
from agora_core.builtin.sqlite_moments import microseconds
from agora_core.spec.letters import LetterQuery, LetterState

_COLUMNS = ", ".join(COLUMNS)

INSERT_COLUMNS = (*(column for column in COLUMNS if column not in ("id", "lease_until")),)
INSERT = (
    f"INSERT INTO letters ({', '.join(INSERT_COLUMNS)}) VALUES ({', '.join(f':{name}' for name in INSERT_COLUMNS)})"  # noqa: S608  # names of ours
    " ON CONFLICT (uid) DO NOTHING"
)
LAST_ID = "SELECT coalesce(max(id), 0) FROM letters"
RESOLVE = (
    "UPDATE letters SET state = ?, lease_token = NULL, lease_until = NULL"
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
# By an index that has all of it; the leased ones are few, and each must be asked for its time.
STATS_OF_SETTLED = (
    "SELECT pipeline_id, stage, error_type, state, count(*), min(first_failed_at), max(first_failed_at)"
    " FROM letters WHERE state <> 'leased' GROUP BY 1, 2, 3, 4"
)
STATS_OF_LEASED = (
    "SELECT pipeline_id, stage, error_type, CASE WHEN lease_until <= ? THEN 'dead' ELSE 'leased' END,"
    " count(*), min(first_failed_at), max(first_failed_at) FROM letters WHERE state = 'leased' GROUP BY 1, 2, 3, 4"
)


@dataclass(frozen=True, slots=True)
class Statement:
    """SQL and its parameters."""

    sql: str
    parameters: Sequence[object]


def as_list(ids: Sequence[int]) -> str:
    """Return *ids* as the one parameter that any number of them are."""
    return json.dumps(list(ids))


def find(query: LetterQuery, *, now: int, limit: int | None, after_id: int) -> Statement:
    """Select the rows that match, by id."""
    chosen = _ids(query, query.states or tuple(LetterState), now=now, limit=limit, after_id=after_id)
    return Statement(f"SELECT {_COLUMNS} FROM letters WHERE id IN ({chosen.sql}) ORDER BY id", chosen.parameters)  # noqa: S608


def count(query: LetterQuery, *, now: int) -> Statement:
    """Count the rows that match."""
    chosen = _ids(query, query.states or tuple(LetterState), now=now)
    return Statement(f"SELECT count(*) FROM ({chosen.sql})", chosen.parameters)  # noqa: S608


def lease(query: LetterQuery, *, now: int, token: str, until: int, limit: int) -> Statement:
    """Lease the first rows that match and are dead, and return them, in any order."""
    chosen = _ids(query, _only(query, LetterState.DEAD), now=now, limit=limit)
    return Statement(
        "UPDATE letters SET state = 'leased', lease_token = ?, lease_until = ?, attempts = attempts + 1"  # noqa: S608
        f" WHERE id IN ({chosen.sql}) RETURNING {_COLUMNS}",
        [token, until, *chosen.parameters],
    )


def discard(query: LetterQuery, *, now: int, limit: int) -> Statement:
    """Discard the first rows that match and are dead or parked."""
    chosen = _ids(query, _only(query, LetterState.DEAD, LetterState.PARKED), now=now, limit=limit)
    return Statement(
        "UPDATE letters SET state = 'discarded', lease_token = NULL, lease_until = NULL"  # noqa: S608
        f" WHERE id IN ({chosen.sql})",
        chosen.parameters,
    )


def _only(query: LetterQuery, *allowed: LetterState) -> list[LetterState]:
    """Return the states of *query* that are *allowed*; a query that names none means any."""
    return [state for state in allowed if not query.states or state in query.states]


def _ids(
    query: LetterQuery, states: Sequence[LetterState], *, now: int, limit: int | None = None, after_id: int = 0
) -> Statement:
    """Select the ids that match, in their order, one arm for each state: SQLite merges what an index has sorted."""
    fields = list(_fields(query, after_id))
    common = "".join(f" AND {sql}" for sql, _ in fields)
    values = [value for _, value in fields]
    # A query by ids looks these up; the index of all that are dead would be the long way round.
    state = "+state" if query.ids else "state"
    arms, parameters = [], []
    for condition, more in _arms(states, state, now):
        arms.append(f"SELECT id FROM letters WHERE {condition}{common}")  # noqa: S608
        parameters += [*more, *values]
    if not arms:
        return Statement("SELECT id FROM letters WHERE 0", [])
    most = -1 if limit is None else max(limit, 0)
    return Statement(f"SELECT id FROM ({' UNION ALL '.join(arms)} ORDER BY id LIMIT ?)", [*parameters, most])  # noqa: S608


def _arms(states: Sequence[LetterState], column: str, now: int) -> Iterator[tuple[str, list[object]]]:
    for state in dict.fromkeys(states):
        if state is LetterState.LEASED:
            yield f"{column} = 'leased' AND lease_until > ?", [now]
        else:
            yield f"{column} = ?", [state.value]
        if state is LetterState.DEAD:
            yield f"{column} = 'leased' AND lease_until <= ?", [now]


def _fields(query: LetterQuery, after_id: int) -> Iterator[tuple[str, object]]:
    if query.ids:
        yield "id IN (SELECT value FROM json_each(?))", as_list(query.ids)
    for name in ("pipeline_id", "run_id", "stage", "error_type"):
        wanted = getattr(query, name)
        if wanted is not None:
            yield f"{name} = ?", printable(wanted)
    if query.since is not None:
        yield "first_failed_at >= ?", microseconds(query.since)
    if query.until is not None:
        yield "first_failed_at < ?", microseconds(query.until)
    if query.up_to_id is not None:
        yield "id <= ?", query.up_to_id
    if after_id:
        yield "id > ?", after_id
