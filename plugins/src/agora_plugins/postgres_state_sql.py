"""What the state store asks of PostgreSQL, every value bound."""

# ruff: noqa: S608  # every value is bound, and the names of the tables were checked

from collections.abc import Sequence
from datetime import datetime

from agora.plugins import Decision, PipelineMemory, Run, RunQuery, encode_state, microseconds
from agora_plugins.postgres_rows import storable
from agora_plugins.postgres_sql import Statement

PAGE = 1000
"""So many rows are deleted in one statement."""

_RUN_COLUMNS = ("id", "pipeline_id", "started_at", "number", "outcome", "ended_at", "run", "crc")
_RUN_TYPES = ("text", "text", "bigint", "bigint", "text", "bigint", "bytea", "bigint")


def save_memories(table: str, memories: Sequence[PipelineMemory]) -> tuple[str, list[list[object]]]:
    """Return the statement that keeps *memories*, the last of each pipeline, and its parameters."""
    last = {storable(memory.pipeline_id): memory for memory in memories}
    # In one order, whoever writes: two who keep the same pipelines never wait for each other.
    rows = [(name, *encode_state(last[name])) for name in sorted(last)]
    sql = (
        f"INSERT INTO {table} (pipeline_id, memory, memory_crc) SELECT * FROM unnest($1::text[], $2::bytea[],"
        " $3::bigint[]) ON CONFLICT (pipeline_id) DO UPDATE SET memory = excluded.memory,"
        " memory_crc = excluded.memory_crc"
    )
    return sql, _columns(rows)


def save_runs(table: str, runs: Sequence[Run]) -> tuple[str, list[list[object]]]:
    """Return the statement that keeps *runs*, the last of each id, and its parameters."""
    last = {storable(run.id): run for run in runs}
    arrays = ", ".join(f"${place}::{kind}[]" for place, kind in enumerate(_RUN_TYPES, 1))
    changes = ", ".join(f"{column} = excluded.{column}" for column in _RUN_COLUMNS[1:])
    sql = (
        f"INSERT INTO {table} ({', '.join(_RUN_COLUMNS)}) SELECT * FROM unnest({arrays})"
        f" ON CONFLICT (id) DO UPDATE SET {changes}"
    )
    return sql, _columns([_run_row(name, last[name]) for name in sorted(last)])


def save_decisions(table: str, decisions: Sequence[Decision]) -> tuple[str, list[list[object]]]:
    """Return the statement that keeps *decisions* in their order, and its parameters."""
    rows = [(storable(one.pipeline_id), microseconds(one.at), *encode_state(one)) for one in decisions]
    sql = (
        f"INSERT INTO {table} (pipeline_id, at, decision, crc) SELECT pipeline_id, at, decision, crc"
        " FROM unnest($1::text[], $2::bigint[], $3::bytea[], $4::bigint[])"
        " WITH ORDINALITY AS new(pipeline_id, at, decision, crc, place) ORDER BY place"
    )
    return sql, _columns(rows)


def find_runs(asked: Statement, query: RunQuery, limit: int | None) -> str:
    """Return the statement that finds the runs of *query*."""
    conditions = [
        f"{column} = {asked.bind(storable(wanted), 'text')}"
        for column, wanted in (("id", query.run_id), ("pipeline_id", query.pipeline_id))
        if wanted is not None
    ]
    if query.outcomes:
        outcomes = [outcome.value for outcome in query.outcomes]
        conditions.append(f"outcome = ANY({asked.bind(outcomes, 'text[]')})")
    if query.ended is not None:
        conditions.append(f"outcome IS {'NOT ' if query.ended else ''}NULL")
    conditions += _span(asked, "started_at", query.since, query.until)
    return (
        f"SELECT id AS key, run AS payload, crc FROM {asked.table} WHERE {' AND '.join(conditions) or 'TRUE'}"
        f" ORDER BY started_at DESC, number DESC LIMIT {_most(asked, limit)}"
    )


def find_decisions(
    asked: Statement, pipeline_id: str, since: datetime | None, until: datetime | None, limit: int | None
) -> str:
    """Return the statement that finds what was decided of a pipeline's slots."""
    of_it = f"pipeline_id = {asked.bind(storable(pipeline_id), 'text')}"
    return (
        f"SELECT row AS key, decision AS payload, crc FROM {asked.table}"
        f" WHERE {' AND '.join([of_it, *_span(asked, 'at', since, until)])}"
        f" ORDER BY at DESC, row DESC LIMIT {_most(asked, limit)}"
    )


def delete_old(asked: Statement, *, first: str, before: int, keep: int, is_runs: bool) -> str:
    """Return the statement that deletes a page of old history of the pipelines from *first* on, and tells of which."""
    moment = asked.bind(before, "bigint")
    order = "started_at, number" if is_runs else "at, row"
    key = "id" if is_runs else "row"
    old = f"started_at < {moment} AND outcome IS NOT NULL AND ended_at < {moment}" if is_runs else f"at < {moment}"
    if keep > 0:
        descending = ", ".join(f"{column} DESC" for column in order.split(", "))
        kept = f"SELECT {order} FROM {asked.table} WHERE pipeline_id = pipelines.name ORDER BY {descending}"
        old += f" AND ({order}) < ({kept} LIMIT 1 OFFSET {asked.bind(keep - 1, 'bigint')})"
    following = f"SELECT min(pipeline_id) FROM {asked.table} WHERE pipeline_id"
    return (
        f"WITH RECURSIVE pipelines(name) AS (({following} >= {asked.bind(first, 'text')}) UNION ALL"
        f" SELECT ({following} > pipelines.name) FROM pipelines WHERE pipelines.name IS NOT NULL),"
        f" old AS (SELECT found.{key} FROM pipelines CROSS JOIN LATERAL (SELECT {key} FROM {asked.table}"
        f" WHERE pipeline_id = pipelines.name AND {old} ORDER BY {order} LIMIT {PAGE}) AS found LIMIT {PAGE})"
        f" DELETE FROM {asked.table} AS history USING old WHERE history.{key} = old.{key} RETURNING history.pipeline_id"
    )


def _run_row(name: str, run: Run) -> tuple[object, ...]:
    return (
        name,
        storable(run.pipeline_id),
        microseconds(run.started_at),
        run.number,
        None if run.outcome is None else run.outcome.value,
        None if run.ended_at is None else microseconds(run.ended_at),
        *encode_state(run),
    )


def _columns(rows: Sequence[tuple[object, ...]]) -> list[list[object]]:
    return [list(column) for column in zip(*rows, strict=True)]


def _span(asked: Statement, column: str, since: datetime | None, until: datetime | None) -> list[str]:
    bounds = ((">=", since), ("<", until))
    return [f"{column} {sign} {asked.bind(microseconds(at), 'bigint')}" for sign, at in bounds if at is not None]


def _most(asked: Statement, limit: int | None) -> str:
    return asked.bind(None if limit is None else max(limit, 0), "bigint")
