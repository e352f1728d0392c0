"""`/health`: the worker and every pipeline as JSON."""

import json
import math
from collections.abc import Set
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from agora_core.spec.health import HealthReply, HealthRequest, PipelineState, PipelineStatus, WorkerStatus
from agora_core.spec.letters import LetterState
from agora_core.spec.redaction import redact
from agora_core.spec.runs import Outcome, Run, RunSummary
from agora_core.spec.status_cache import StatusCache

LAG_SECONDS = 1.0
"""From this lag of the event loop on the worker counts as degraded: some pipeline keeps the others waiting."""

_json = json.JSONEncoder(allow_nan=False).encode

_WELL = frozenset({PipelineState.REGISTERED, PipelineState.WAITING, PipelineState.RUNNING, PipelineState.COMPLETED})
_UNRESOLVED = (LetterState.DEAD, LetterState.LEASED, LetterState.PARKED)


class Overall(StrEnum):
    """The worker in one word."""

    OK = "ok"
    """Every pipeline does what its schedule says, its last run ended well, and no dead letter waits for anyone."""
    DEGRADED = "degraded"
    """Work goes on, but someone should look.

    A pipeline is retrying, paused, stopped or gave up, or failed the last time; or it has unresolved dead letters;
    or the event loop is a second or more late, or stands still in a pipeline.
    """
    FAILING = "failing"
    """No work goes on: the event loop is stalled, or every pipeline that has not completed gave up."""


class Health:
    """Publishes all of the worker's status as JSON: 200 while the worker works, 503 while its loop is stalled."""

    path = "/health"
    needs_token = True

    def __init__(self) -> None:
        self._rows = StatusCache(_row)

    def export(self, status: WorkerStatus, request: HealthRequest) -> HealthReply:
        """Return the document, a pipeline a line."""
        rows = self._rows.of(status.pipelines)
        standings, lines = zip(*rows, strict=True) if rows else ((), ())
        word = _overall(status, frozenset(standings))
        head = f'{{"status": "{word}", "worker": {_json(_worker(status))}, "pipelines": ['
        # Every line brings the comma before it; joined at once, as a second copy of megabytes would cost as much again.
        first = [line.removeprefix(b",") for line in lines[:1]]
        return HealthReply(
            body=b"".join([head.encode(), *first, *lines[1:], b"\n]}\n"]),
            content_type="application/json; charset=utf-8",
            status=503 if status.stalled else 200,
        )


class _Standing(NamedTuple):
    """What a pipeline adds to the word."""

    completed: bool
    gave_up: bool
    well: bool
    """Whether there is nothing about it that someone should look at."""


def _overall(status: WorkerStatus, standings: Set[_Standing]) -> Overall:
    """Return the worker in one word, given the standings that occur among its pipelines."""
    left = [standing.gave_up for standing in standings if not standing.completed]
    if status.stalled or (left and all(left)):
        return Overall.FAILING
    late = status.loop_lag_seconds >= LAG_SECONDS or bool(status.stalled_in)
    return Overall.DEGRADED if late or not all(standing.well for standing in standings) else Overall.OK


def _row(pipeline: PipelineStatus) -> tuple[_Standing, bytes]:
    """Return the standing and the line of *pipeline*, with the comma before it."""
    return _standing(pipeline), f",\n{_json(_pipeline(pipeline))}".encode()


def _standing(pipeline: PipelineStatus) -> _Standing:
    unresolved = any((pipeline.dlq or {}).get(state) for state in _UNRESOLVED)
    return _Standing(
        completed=pipeline.state is PipelineState.COMPLETED,
        gave_up=pipeline.state is PipelineState.FAILED,
        well=pipeline.state in _WELL and not pipeline.consecutive_errors and not unresolved,
    )


def _worker(status: WorkerStatus) -> dict[str, object]:
    return {
        "version": status.version,
        "started_at": _iso(status.started_at),
        "uptime_seconds": _seconds(status.now - status.started_at),
        "now": _iso(status.now),
        "stopping": status.stopping,
        "loop_lag_seconds": _number(status.loop_lag_seconds),
        "stall_seconds": _number(status.stall_seconds),
        "stalled": status.stalled,
        "stalled_in": redact(status.stalled_in) or None,
        "unauthorized_requests": status.unauthorized_requests,
    }


def _pipeline(pipeline: PipelineStatus) -> dict[str, object]:
    return {
        "id": pipeline.id,
        "state": pipeline.state,
        "schedule": redact(pipeline.schedule),
        "reason": redact(pipeline.reason) or None,
        "next_run_at": _iso(pipeline.next_run_at),
        "current_run": _run(pipeline.current_run),
        "last_run": _run(pipeline.last_run),
        "last_success_at": _iso(pipeline.last_success_at),
        "max_staleness_seconds": _seconds(pipeline.max_staleness),
        "runs": {outcome: pipeline.runs.get(outcome, 0) for outcome in Outcome},
        "totals": _counts(pipeline.totals),
        "ticks_skipped": dict(sorted(pipeline.ticks_skipped.items())),
        "consecutive_errors": pipeline.consecutive_errors,
        "max_consecutive_errors": pipeline.max_consecutive_errors,
        "last_error": _redacted(pipeline.last_error),
        "dlq": _dlq(pipeline),
    }


def _dlq(pipeline: PipelineStatus) -> dict[str, object] | None:
    if pipeline.dlq is None:
        return None
    return {
        "entries": dict(sorted(pipeline.dlq.items())),
        "oldest": _iso(pipeline.dlq_oldest),
        "write_failures": pipeline.dlq_write_failures,
    }


def _run(run: Run | None) -> dict[str, object] | None:
    if run is None:
        return None
    return {
        "id": run.id,
        "number": run.number,
        "attempt": run.attempt,
        "slot": _iso(run.slot),
        "started_at": _iso(run.started_at),
        "ended_at": _iso(run.ended_at),
        "duration_seconds": _seconds(None if run.ended_at is None else run.ended_at - run.started_at),
        "outcome": run.outcome,
        "counts": _counts(run.summary),
        "error": _redacted(run.error),
    }


def _counts(summary: RunSummary) -> dict[str, int]:
    return {
        "read": summary.consumed,
        "written": summary.written,
        "filtered": summary.filtered,
        "dead": summary.dead,
        "in_flight": summary.in_flight,
    }


def _redacted(text: str | None) -> str | None:
    return None if text is None else redact(text)


def _iso(moment: datetime | None) -> str | None:
    if moment is None:
        return None
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat("T", "milliseconds") + "Z"


def _seconds(span: timedelta | None) -> float | None:
    return None if span is None else round(span.total_seconds(), 3)


def _number(value: float) -> float | None:
    """Return *value* as JSON can have it: there is no infinity and no NaN."""
    return round(value, 6) if math.isfinite(value) else None
