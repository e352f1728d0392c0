"""A pipeline's status after each thing that can happen to it: functions of values."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from agora_core.runner.pace import BACKOFF
from agora_core.runner.replacing import replacer
from agora_core.spec.health import LATE_SECONDS, RUN_SECONDS, Histogram, PipelineState, PipelineStatus
from agora_core.spec.runs import Outcome, Run, RunSummary
from agora_core.spec.time import Stop, Wait

ASKED = "the worker was asked to stop"
"""Why a pipeline stopped that could have run again."""

CUT = "its run was cancelled when the time to finish was over"
"""Why a pipeline stopped whose run did not end in time."""

_with = replacer(PipelineStatus)

_NO_RUNS = Histogram.empty(RUN_SECONDS)
_NO_TICKS = Histogram.empty(LATE_SECONDS)
_NO_RECORDS = RunSummary()
_NO_OUTCOMES: Mapping[Outcome, int] = {}
_NO_TICKS_SKIPPED: Mapping[str, int] = {}


def registered(pipeline_id: str, schedule: str, max_consecutive_errors: int) -> PipelineStatus:
    """Return the first status; what is empty is shared, so that a waiting pipeline is small."""
    return PipelineStatus(
        id=pipeline_id,
        schedule=schedule,
        max_consecutive_errors=max_consecutive_errors,
        runs=_NO_OUTCOMES,
        totals=_NO_RECORDS,
        durations=_NO_RUNS,
        lateness=_NO_TICKS,
        ticks_skipped=_NO_TICKS_SKIPPED,
    )


def started(status: PipelineStatus, run: Run) -> PipelineStatus:
    """Return *status* with *run* going on."""
    late = max((run.started_at - run.slot).total_seconds(), 0.0)
    return _with(
        status,
        state=PipelineState.RUNNING,
        current_run=run,
        next_run_at=None,
        reason="",
        lateness=status.lateness.observed(late),
    )


def counted(status: PipelineStatus, summary: RunSummary) -> PipelineStatus:
    """Return *status* with *summary* as the counts of the run that goes on."""
    if status.current_run is None or status.current_run.summary == summary:
        return status
    return _with(status, current_run=replace(status.current_run, summary=summary))


def ended(status: PipelineStatus, run: Run, failures: int) -> PipelineStatus:
    """Return *status* with *run* over, after *failures* in a row."""
    outcome, ended_at = run.outcome, run.ended_at
    if outcome is None or ended_at is None:
        raise ValueError(f"run {run.id!r} has not ended")
    succeeded = outcome is Outcome.SUCCESS
    return _with(
        status,
        current_run=None,
        last_run=run,
        consecutive_errors=failures,
        last_success_at=ended_at if succeeded else status.last_success_at,
        last_error=None if succeeded else run.error or status.last_error,
        runs={**status.runs, outcome: status.runs.get(outcome, 0) + 1},
        totals=_sum(status.totals, run.summary),
        durations=status.durations.observed((ended_at - run.started_at).total_seconds()),
    )


def decided(status: PipelineStatus, step: Wait | Stop) -> PipelineStatus:
    """Return *status* with *step* as what happens next."""
    if isinstance(step, Wait):
        state = PipelineState.RETRYING if step.reason == BACKOFF else PipelineState.WAITING
        return _with(status, state=state, next_run_at=step.until, reason="")
    if step.gave_up:
        state = PipelineState.FAILED
    else:
        state = PipelineState.STOPPED if step.reason in (ASKED, CUT) else PipelineState.COMPLETED
    return _with(status, state=state, next_run_at=None, reason=step.reason)


def moved(status: PipelineStatus, until: datetime) -> PipelineStatus:
    """Return *status* with *until* as the moment of the next run, by a clock that was set."""
    return _with(status, next_run_at=until)


def skipped(status: PipelineStatus, counts: Mapping[str, int]) -> PipelineStatus:
    """Return *status* with so many more slots that passed without a run, by reason."""
    before = status.ticks_skipped
    return _with(status, ticks_skipped={**before, **{why: before.get(why, 0) + n for why, n in counts.items()}})


def stale_after(status: PipelineStatus, span: timedelta | None) -> PipelineStatus:
    """Return *status* with *span* as the age that its last success may reach."""
    return status if span == status.max_staleness else _with(status, max_staleness=span)


def letters_known(status: PipelineStatus, counts: Mapping[str, int], oldest: datetime | None) -> PipelineStatus:
    """Return *status* with what its dead-letter store holds by now."""
    if (counts, oldest) == (status.dlq, status.dlq_oldest):
        return status
    return _with(status, dlq=counts, dlq_oldest=oldest)


def letter_lost(status: PipelineStatus) -> PipelineStatus:
    """Return *status* with one more time that a dead letter could not be kept."""
    return _with(status, dlq_write_failures=status.dlq_write_failures + 1)


def paused(status: PipelineStatus) -> PipelineStatus:
    """Return *status* as it looks while the pipeline is paused: a run that goes on may end."""
    if status.state not in (PipelineState.WAITING, PipelineState.RETRYING):
        return status
    return _with(status, state=PipelineState.PAUSED, next_run_at=None, reason="paused by hand")


def _sum(one: RunSummary, other: RunSummary) -> RunSummary:
    return RunSummary(
        consumed=one.consumed + other.consumed,
        written=one.written + other.written,
        filtered=one.filtered + other.filtered,
        dead=one.dead + other.dead,
        in_flight=one.in_flight + other.in_flight,
        elapsed=one.elapsed + other.elapsed,
    )
