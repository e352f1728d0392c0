"""What the SQLite state store asks and writes, as SQL with bound parameters."""

# ruff: noqa: S608  # every value is bound, and the names are ours

from collections.abc import Iterator
from datetime import datetime

from agora_core.builtin.sqlite_moments import microseconds
from agora_core.builtin.state_rows import StateRow
from agora_core.codec.description import printable
from agora_core.spec.decisions import Decision
from agora_core.spec.runs import Run
from agora_core.spec.state import RunQuery

FIND_CHECKPOINT = "SELECT position, crc FROM checkpoints WHERE pipeline_id = ?"
SAVE_CHECKPOINT = (
    "INSERT INTO checkpoints (pipeline_id, position, crc, saved_at) VALUES (?, ?, ?, ?)"
    " ON CONFLICT (pipeline_id) DO UPDATE"
    " SET position = excluded.position, crc = excluded.crc, saved_at = excluded.saved_at"
)
FIND_MEMORIES = "SELECT pipeline_id, memory, crc FROM memories"
SAVE_MEMORY = (
    "INSERT INTO memories (pipeline_id, memory, crc) VALUES (?, ?, ?)"
    " ON CONFLICT (pipeline_id) DO UPDATE SET memory = excluded.memory, crc = excluded.crc"
)
SAVE_RUN = (
    "INSERT INTO runs (id, pipeline_id, started_at, number, outcome, ended_at, run, crc)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET"
    " pipeline_id = excluded.pipeline_id, started_at = excluded.started_at,"
    " number = excluded.number, outcome = excluded.outcome, ended_at = excluded.ended_at, run = excluded.run,"
    " crc = excluded.crc"
)
SAVE_DECISION = "INSERT INTO decisions (pipeline_id, at, decision, crc) VALUES (?, ?, ?, ?)"
ASK = "INSERT INTO requests (request, crc) VALUES (?, ?) RETURNING number"
ANSWER = "UPDATE requests SET answered_at = ?, request = ?, crc = ? WHERE number = ?"
FIND_REQUEST = "SELECT number, request, crc FROM requests WHERE number = ?"
OPEN_REQUESTS = "SELECT number, request, crc FROM requests WHERE answered_at IS NULL ORDER BY number"

DELETE_RUN = "DELETE FROM runs WHERE row = ? AND ended_at < ?"
DELETE_DECISION = "DELETE FROM decisions WHERE row = ? AND at < ?"
DELETE_REQUEST = "DELETE FROM requests WHERE number = ? AND answered_at < ?"

_LATEST = "ORDER BY started_at DESC, number DESC"


def run_row(run: Run, row: StateRow) -> list[object]:
    """Return the parameters of `SAVE_RUN`."""
    return [
        printable(run.id),
        printable(run.pipeline_id),
        microseconds(run.started_at),
        run.number,
        None if run.outcome is None else run.outcome.value,
        None if run.ended_at is None else microseconds(run.ended_at),
        *row,
    ]


def decision_row(decision: Decision, row: StateRow) -> list[object]:
    """Return the parameters of `SAVE_DECISION`."""
    return [printable(decision.pipeline_id), microseconds(decision.at), *row]


def find_runs(query: RunQuery, limit: int | None) -> tuple[str, list[object]]:
    """Return the statement that finds the runs of *query*, each as its id, JSON and checksum."""
    parts = list(_conditions(query))
    where = " AND ".join(condition for condition, _ in parts) or "TRUE"
    parameters = [value for _, values in parts for value in values]
    return f"SELECT id, run, crc FROM runs WHERE {where} {_LATEST} LIMIT ?", [*parameters, _most(limit)]


def find_decisions(
    pipeline_id: str, since: datetime | None, until: datetime | None, limit: int | None
) -> tuple[str, list[object]]:
    """Return the statement that finds decisions, each as its number, JSON and checksum."""
    span = list(_span("at", since, until))
    where = " AND ".join(["pipeline_id = ?", *(condition for condition, _ in span)])
    parameters = [printable(pipeline_id), *(value for _, values in span for value in values)]
    sql = f"SELECT row, decision, crc FROM decisions WHERE {where} ORDER BY at DESC, row DESC LIMIT ?"
    return sql, [*parameters, _most(limit)]


def _conditions(query: RunQuery) -> Iterator[tuple[str, list[object]]]:
    if query.run_id is not None:
        yield "id = ?", [printable(query.run_id)]
    if query.pipeline_id is not None:
        yield "pipeline_id = ?", [printable(query.pipeline_id)]
    if query.outcomes:
        yield f"outcome IN ({', '.join('?' * len(query.outcomes))})", [outcome.value for outcome in query.outcomes]
    if query.ended is not None:
        yield f"outcome IS {'NOT ' if query.ended else ''}NULL", []
    yield from _span("started_at", query.since, query.until)


def _span(column: str, since: datetime | None, until: datetime | None) -> Iterator[tuple[str, list[object]]]:
    if since is not None:
        yield f"{column} >= ?", [microseconds(since)]
    if until is not None:
        yield f"{column} < ?", [microseconds(until)]


def _most(limit: int | None) -> int:
    return -1 if limit is None else max(limit, 0)
