"""`/health`: the worker and every pipeline as JSON."""

import json
import math
from collections.abc import Sequence, Set
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from agora_core.spec.decisions import Decision
from agora_core.spec.health import HealthReply, HealthRequest, PipelineState, PipelineStatus, WorkerStatus
from agora_core.spec.letters import Fidelity, LetterState, LetterTally
from agora_core.spec.redaction import redact
from agora_core.spec.runs import Outcome, Run, RunSummary
from agora_core.spec.status_cache import StatusCache

LAG_SECONDS = 1.0
"""From this lag of the event loop on the worker counts as degraded: some pipeline keeps the others waiting."""

_json = json.JSONEncoder(allow_nan=False).encode

_WELL = frozenset(
    {
        PipelineState.REGISTERED,
        PipelineState.WAITING,
        PipelineState.QUEUED,
        PipelineState.RUNNING,
        PipelineState.COMPLETED,
    }
)
_UNRESOLVED = (LetterState.DEAD, LetterState.LEASED, LetterState.PARKED)


class Overall(StrEnum):
    """The worker in one word."""

    OK = "ok"
    """Every pipeline does what its schedule says, its last run ended well, and no dead letter waits for anyone."""
    DEGRADED = "degraded"
    """Work goes on, but someone should look.

    A pipeline is retrying, cooling down, paused, stopped or gave up, or failed the last time; or it has unresolved dead
    letters, a store with troubles, a run that was abandoned, or records of a run that do not add up; or the event loop
    is a second or more late, or stands still in a pipeline; or the worker's state cannot be written, claimed, pruned or
    asked for requests, or another worker owns it.
    """
    FAILING = "failing"
    """No work goes on: the event loop is stalled, or every pipeline that has not completed gave up or cools down."""


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
    forgets = bool(status.state_trouble or status.standing_by)
    return Overall.DEGRADED if late or forgets or not all(standing.well for standing in standings) else Overall.OK


def _row(pipeline: PipelineStatus) -> tuple[_Standing, bytes]:
    """Return the standing and the line of *pipeline*, with the comma before it."""
    return _standing(pipeline), f",\n{_json(_pipeline(pipeline))}".encode()


def _standing(pipeline: PipelineStatus) -> _Standing:
    unresolved = any((pipeline.dlq or {}).get(state) for state in _UNRESOLVED)
    return _Standing(
        completed=pipeline.state is PipelineState.COMPLETED,
        gave_up=pipeline.state in (PipelineState.FAILED, PipelineState.COOLING_DOWN),
        well=pipeline.state in _WELL
        and not pipeline.consecutive_errors
        and not unresolved
        and not pipeline.dlq_troubles
        and not pipeline.abandoned
        and not pipeline.conservation_violations,
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
        "state_trouble": redact(status.state_trouble) or None,
        "standing_by": redact(status.standing_by) or None,
    }


def _pipeline(pipeline: PipelineStatus) -> dict[str, object]:
    return {
        "id": pipeline.id,
        "state": pipeline.state,
        "schedule": redact(pipeline.schedule),
        "reason": redact(pipeline.reason) or None,
        "next_run_at": _iso(pipeline.next_run_at),
        "queue": _queue(pipeline),
        "current_run": _run(pipeline.current_run),
        "last_run": _run(pipeline.last_run),
        "last_success_at": _iso(pipeline.last_success_at),
        "max_staleness_seconds": _seconds(pipeline.max_staleness),
        "runs": {outcome: pipeline.runs.get(outcome, 0) for outcome in Outcome},
        "totals": _counts(pipeline.totals),
        "conservation_violations": pipeline.conservation_violations,
        "ticks_skipped": dict(sorted(pipeline.ticks_skipped.items())),
        "last_decision": _decision(pipeline.last_decision),
        "consecutive_errors": pipeline.consecutive_errors,
        "max_consecutive_errors": pipeline.max_consecutive_errors,
        "last_error": _redacted(pipeline.last_error),
        "abandoned": list(pipeline.abandoned),
        "dlq": _dlq(pipeline),
    }


def _decision(decision: Decision | None) -> dict[str, object] | None:
    if decision is None:
        return None
    return {
        "kind": decision.kind,
        "reason": decision.reason,
        "slot": _iso(decision.slot),
        "at": _iso(decision.at),
        "slots": decision.count,
        "text": str(decision),
    }


def _queue(pipeline: PipelineStatus) -> dict[str, object]:
    """Return how it waits for places and resources, and has waited."""
    return {
        "since": _iso(pipeline.queued_since),
        "runs": sum(pipeline.queue.counts),
        "seconds": _number(pipeline.queue.total),
    }


def _dlq(pipeline: PipelineStatus) -> dict[str, object] | None:
    if pipeline.dlq is None:
        return None
    return {
        "entries": dict(sorted(pipeline.dlq.items())),
        "oldest": _iso(pipeline.dlq_oldest),
        "unresolved": _unresolved(pipeline.dlq_tallies),
        "kept": pipeline.totals.letters,
        "purged": pipeline.dlq_purged,
        "write_failures": pipeline.dlq_write_failures,
        "troubles": [redact(trouble) for trouble in pipeline.dlq_troubles],
    }


def _unresolved(tallies: Sequence[LetterTally] | None) -> dict[str, object] | None:
    """Return what unresolved letters have been through; None where the store does not tell."""
    if tallies is None:
        return None
    counts = dict.fromkeys(Fidelity, 0)
    for tally in tallies:
        counts[tally.fidelity] += tally.count
    return {
        "by_fidelity": counts,
        "attempts": sum(tally.attempts for tally in tallies),
        "retried": sum(tally.retried for tally in tallies),
        "leases_overdue": sum(tally.overdue for tally in tallies),
    }


def _run(run: Run | None) -> dict[str, object] | None:
    if run is None:
        return None
    return {
        "id": run.id,
        "number": run.number,
        "attempt": run.attempt,
        "slot": _iso(run.slot),
        "trigger": run.trigger,
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
