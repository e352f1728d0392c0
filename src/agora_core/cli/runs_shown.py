"""Runs as rows for people and as JSON."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from statistics import quantiles

from agora_core.cli.printing import moment, say, shortened, table
from agora_core.spec.decisions import Decision
from agora_core.spec.runs import Outcome, Run, StageCounts

_ERROR_LENGTH = 80
_GOING_ON = "running"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStats:
    """The runs of one pipeline, counted."""

    pipeline_id: str
    runs: int
    outcomes: dict[str, int]
    written: int
    dead: int
    median: timedelta | None
    p95: timedelta | None
    longest: timedelta | None


def say_runs(found: Sequence[Run]) -> None:
    """Print a row for each run."""
    rows = [
        (
            f"{run.pipeline_id}#{run.number}",
            moment(run.started_at),
            _took(run),
            run.trigger,
            _outcome(run),
            f"{run.summary.consumed:,}",
            f"{run.summary.written:,}",
            f"{run.summary.dead:,}",
            shortened(run.error or "", _ERROR_LENGTH),
        )
        for run in found
    ]
    header = ("RUN", "STARTED", "TOOK", "TRIGGER", "OUTCOME", "READ", "WRITTEN", "DEAD", "ERROR")
    for line in table([header, *rows]):
        say(line)
    if not found:
        say("no runs")


def say_run(run: Run, decisions: Sequence[Decision]) -> None:
    """Print all that is known of one run."""
    summary = run.summary
    rows = [
        ("run", f"{run.pipeline_id}#{run.number} ({run.id})"),
        ("slot", moment(run.slot)),
        ("started", f"{moment(run.started_at)}, {_late(run)}"),
        ("ended", moment(run.ended_at) if run.ended_at else "not yet"),
        ("took", _took(run)),
        ("trigger", run.trigger),
        ("attempt", str(run.attempt)),
        ("outcome", _outcome(run)),
        ("read", f"{summary.consumed:,}"),
        ("written", f"{summary.written:,}"),
        ("filtered", f"{summary.filtered:,}"),
        ("dead", f"{summary.dead:,}"),
        ("in flight", f"{summary.in_flight:,}"),
        *((f"at {stage}", _ended_at(counts)) for stage, counts in summary.stages.items()),
    ]
    for line in table(
        [*rows, *([("error", run.error)] if run.error else []), *(("slot", str(one)) for one in decisions)]
    ):
        say(line)


def run_as_json(run: Run) -> dict[str, object]:
    """Return what is known of *run*."""
    summary = run.summary
    return {
        "id": run.id,
        "pipeline_id": run.pipeline_id,
        "number": run.number,
        "attempt": run.attempt,
        "trigger": run.trigger,
        "slot": moment(run.slot),
        "started_at": moment(run.started_at),
        "ended_at": moment(run.ended_at) if run.ended_at else None,
        "seconds": _seconds(run),
        "outcome": run.outcome.value if run.outcome else None,
        "read": summary.consumed,
        "written": summary.written,
        "filtered": summary.filtered,
        "dead": summary.dead,
        "in_flight": summary.in_flight,
        "stages": {stage: asdict(counts) for stage, counts in summary.stages.items()},
        "error": run.error,
    }


def stats_of(found: Sequence[Run]) -> list[RunStats]:
    """Return the counts of *found*, by pipeline."""
    by_pipeline: dict[str, list[Run]] = {}
    for run in found:
        by_pipeline.setdefault(run.pipeline_id, []).append(run)
    return [_stats(pipeline_id, own) for pipeline_id, own in sorted(by_pipeline.items())]


def say_stats(rows: Sequence[RunStats]) -> None:
    """Print a row for each pipeline."""
    shown = [
        (
            row.pipeline_id,
            f"{row.runs:,}",
            *(f"{row.outcomes.get(outcome, 0):,}" for outcome in (Outcome.SUCCESS, Outcome.FAILED)),
            f"{sum(n for what, n in row.outcomes.items() if what not in (Outcome.SUCCESS, Outcome.FAILED)):,}",
            *(_span(one) for one in (row.median, row.p95, row.longest)),
            f"{row.written:,}",
            f"{row.dead:,}",
        )
        for row in rows
    ]
    header = ("PIPELINE", "RUNS", "SUCCESS", "FAILED", "OTHER", "MEDIAN", "P95", "LONGEST", "WRITTEN", "DEAD")
    for line in table([header, *shown]):
        say(line)
    if not rows:
        say("no runs")


def stats_as_json(row: RunStats) -> dict[str, object]:
    """Return *row* with its spans in seconds."""
    spans = {"median": row.median, "p95": row.p95, "longest": row.longest}
    return {
        "pipeline_id": row.pipeline_id,
        "runs": row.runs,
        "outcomes": row.outcomes,
        "written": row.written,
        "dead": row.dead,
        **{f"{name}_seconds": None if span is None else span.total_seconds() for name, span in spans.items()},
    }


def _stats(pipeline_id: str, own: Sequence[Run]) -> RunStats:
    spans = sorted(span for run in own if (span := _length(run)) is not None)
    seconds = [span.total_seconds() for span in spans]
    cuts = quantiles(seconds, n=100, method="inclusive") if len(seconds) > 1 else []
    return RunStats(
        pipeline_id=pipeline_id,
        runs=len(own),
        outcomes=dict(Counter(_outcome(run) for run in own)),
        written=sum(run.summary.written for run in own),
        dead=sum(run.summary.dead for run in own),
        median=timedelta(seconds=cuts[49]) if cuts else next(iter(spans), None),
        p95=timedelta(seconds=cuts[94]) if cuts else next(iter(spans), None),
        longest=spans[-1] if spans else None,
    )


def _ended_at(counts: StageCounts) -> str:
    parts = {"filtered": counts.filtered, "dead": counts.dead}
    return ", ".join(f"{count:,} {what}" for what, count in parts.items() if count)


def _outcome(run: Run) -> str:
    return run.outcome.value if run.outcome is not None else _GOING_ON


def _seconds(run: Run) -> float | None:
    span = _length(run)
    return None if span is None else round(span.total_seconds(), 6)


def _took(run: Run) -> str:
    return _span(_length(run))


def _length(run: Run) -> timedelta | None:
    """Return how long *run* took; of one that goes on, or whose worker died at a moment that nobody knows, None."""
    if run.ended_at is None or run.outcome is Outcome.INTERRUPTED:
        return None
    return run.ended_at - run.started_at


def _late(run: Run) -> str:
    late = (run.started_at - run.slot).total_seconds()
    return "on time" if late < 1 else f"{_span(timedelta(seconds=late))} after its slot"


def _span(span: timedelta | None) -> str:
    if span is None:
        return "-"
    seconds = span.total_seconds()
    return f"{seconds:.2f}s" if seconds < 60 else str(timedelta(seconds=round(seconds)))
