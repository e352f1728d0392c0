"""The document of `/health` as a program would build it that knows nothing else: dictionaries, anew at every look."""

from datetime import UTC, datetime, timedelta

from agora.plugins import Outcome, PipelineStatus, Run, RunSummary, WorkerStatus


def document(word: str, status: WorkerStatus) -> dict[str, object]:
    """Return the document of *status*, which is *word*. Nothing is redacted, in its favour."""
    return {
        "status": word,
        "worker": {
            "version": status.version,
            "started_at": iso(status.started_at),
            "uptime_seconds": seconds(status.now - status.started_at),
            "now": iso(status.now),
            "stopping": status.stopping,
            "loop_lag_seconds": status.loop_lag_seconds,
            "stall_seconds": status.stall_seconds,
            "stalled": status.stalled,
            "stalled_in": status.stalled_in or None,
            "unauthorized_requests": status.unauthorized_requests,
        },
        "pipelines": [row(pipeline) for pipeline in status.pipelines],
    }


def row(pipeline: PipelineStatus) -> dict[str, object]:
    return {
        "id": pipeline.id,
        "state": pipeline.state,
        "schedule": pipeline.schedule,
        "reason": pipeline.reason or None,
        "next_run_at": iso(pipeline.next_run_at),
        "current_run": run(pipeline.current_run),
        "last_run": run(pipeline.last_run),
        "last_success_at": iso(pipeline.last_success_at),
        "max_staleness_seconds": seconds(pipeline.max_staleness),
        "runs": {outcome: pipeline.runs.get(outcome, 0) for outcome in Outcome},
        "totals": counts(pipeline.totals),
        "ticks_skipped": dict(pipeline.ticks_skipped),
        "consecutive_errors": pipeline.consecutive_errors,
        "max_consecutive_errors": pipeline.max_consecutive_errors,
        "last_error": pipeline.last_error,
        "dlq": dlq(pipeline),
    }


def dlq(pipeline: PipelineStatus) -> dict[str, object] | None:
    if pipeline.dlq is None:
        return None
    return {
        "entries": dict(pipeline.dlq),
        "oldest": iso(pipeline.dlq_oldest),
        "write_failures": pipeline.dlq_write_failures,
    }


def run(one: Run | None) -> dict[str, object] | None:
    if one is None:
        return None
    return {
        "id": one.id,
        "number": one.number,
        "attempt": one.attempt,
        "slot": iso(one.slot),
        "started_at": iso(one.started_at),
        "ended_at": iso(one.ended_at),
        "duration_seconds": None if one.ended_at is None else seconds(one.ended_at - one.started_at),
        "outcome": one.outcome,
        "counts": counts(one.summary),
        "error": one.error,
    }


def counts(summary: RunSummary) -> dict[str, int]:
    return {
        "read": summary.consumed,
        "written": summary.written,
        "filtered": summary.filtered,
        "dead": summary.dead,
        "in_flight": summary.in_flight,
    }


def iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def seconds(span: timedelta | None) -> float | None:
    return None if span is None else round(span.total_seconds(), 3)
