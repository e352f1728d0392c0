"""A pipeline's status after each thing that can happen to it: functions of values."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from agora_core.runner.pace import BACKOFF, COOL_DOWN, in_a_row
from agora_core.runner.replacing import replacer
from agora_core.spec.decisions import Decision, Skipped
from agora_core.spec.health import LATE_SECONDS, QUEUE_SECONDS, RUN_SECONDS, Histogram, PipelineState, PipelineStatus
from agora_core.spec.letters import LetterTally
from agora_core.spec.resources import shown
from agora_core.spec.runs import Outcome, Run, RunSummary
from agora_core.spec.state import PipelineMemory
from agora_core.spec.time import Stop, Wait

ASKED = "the worker was asked to stop"
"""Why a pipeline stopped that could have run again."""

CUT = "its run was cancelled when the time to finish was over"
"""Why a pipeline stopped whose run did not end in time."""

_with = replacer(PipelineStatus)

_NO_RUNS = Histogram.empty(RUN_SECONDS)
_NO_TICKS = Histogram.empty(LATE_SECONDS)
_NO_QUEUE = Histogram.empty(QUEUE_SECONDS)
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
        queue=_NO_QUEUE,
        ticks_skipped=_NO_TICKS_SKIPPED,
    )


def queued(status: PipelineStatus, waits_for: Sequence[str], now: datetime) -> PipelineStatus:
    """Return *status* with a run that is due at *now*, if not before, and waits for resources or for a place."""
    reason = f"waits for {' and '.join(map(shown, waits_for))}" if waits_for else "waits for a place"
    return _with(status, state=PipelineState.QUEUED, reason=reason, queued_since=status.queued_since or now)


def left_queue(status: PipelineStatus, wait: Wait | None) -> PipelineStatus:
    """Return *status* with no run that is queued, but the *wait* before the next one."""
    status = _with(status, queued_since=None)
    return status if wait is None else decided(status, wait)


def started(status: PipelineStatus, run: Run, queued_for: timedelta | None = None) -> PipelineStatus:
    """Return *status* with *run* going on, which was *queued_for* so long, if there are limits."""
    late = max((run.started_at - run.slot).total_seconds(), 0.0)
    return _with(
        status,
        state=PipelineState.RUNNING,
        current_run=run,
        next_run_at=None,
        reason="",
        lateness=status.lateness.observed(late),
        queued_since=None,
        queue=status.queue if queued_for is None else status.queue.observed(queued_for.total_seconds()),
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
        reason = in_a_row(status.consecutive_errors) if step.reason == COOL_DOWN else ""
        return _with(status, state=_waiting(step), next_run_at=step.until, reason=reason)
    if step.gave_up:
        state = PipelineState.FAILED
    else:
        state = PipelineState.STOPPED if step.reason in (ASKED, CUT) else PipelineState.COMPLETED
    return _with(status, state=state, next_run_at=None, reason=step.reason, queued_since=None)


def moved(status: PipelineStatus, until: datetime) -> PipelineStatus:
    """Return *status* with *until* as the moment of the next run, by a clock that was set."""
    return _with(status, next_run_at=until)


def told(status: PipelineStatus, decision: Decision) -> PipelineStatus:
    """Return *status* with *decision* as the last one about its slots; what had no run of its own is counted."""
    without = decision.count if isinstance(decision, Skipped) else decision.count - 1
    counts = status.ticks_skipped
    if without:
        counts = {**counts, decision.reason.value: counts.get(decision.reason.value, 0) + without}
    return _with(status, ticks_skipped=counts, last_decision=decision)


def remembered(status: PipelineStatus, memory: PipelineMemory, failures: int) -> PipelineStatus:
    """Return *status* with what an earlier worker kept, and *failures* in a row."""
    last, last_run = memory.last, memory.last_run
    return _with(
        status,
        last_run=last_run,
        consecutive_errors=failures,
        last_success_at=last.ended_at if last is not None and not last.failed else None,
        last_error=last_run.error if last_run is not None and last_run.failed else None,
    )


def stale_after(status: PipelineStatus, span: timedelta | None) -> PipelineStatus:
    """Return *status* with *span* as the age that its last success may reach."""
    return status if span == status.max_staleness else _with(status, max_staleness=span)


def letters_known(
    status: PipelineStatus,
    counts: Mapping[str, int],
    oldest: datetime | None,
    tallies: tuple[LetterTally, ...] | None = None,
    troubles: tuple[str, ...] = (),
) -> PipelineStatus:
    """Return *status* with what its dead-letter store holds by now, and what it suffers from."""
    known = status.dlq, status.dlq_oldest, status.dlq_tallies, status.dlq_troubles
    if (counts, oldest, tallies, troubles) == known:
        return status
    return _with(status, dlq=counts, dlq_oldest=oldest, dlq_tallies=tallies, dlq_troubles=troubles)


def abandoned(status: PipelineStatus, run_ids: Sequence[str]) -> PipelineStatus:
    """Return *status* with these runs going on though they were given up."""
    return _with(status, abandoned=tuple(run_ids))


def letter_lost(status: PipelineStatus) -> PipelineStatus:
    """Return *status* with one more time that a dead letter could not be kept."""
    return _with(status, dlq_write_failures=status.dlq_write_failures + 1)


def letters_purged(status: PipelineStatus, count: int) -> PipelineStatus:
    """Return *status* with so many more resolved dead letters that were deleted."""
    return _with(status, dlq_purged=status.dlq_purged + count)


def not_conserved(status: PipelineStatus) -> PipelineStatus:
    """Return *status* with one more run whose records do not add up."""
    return _with(status, conservation_violations=status.conservation_violations + 1)


def paused(status: PipelineStatus) -> PipelineStatus:
    """Return *status* as it looks while the pipeline is paused: a run that goes on may end."""
    if status.state not in (PipelineState.WAITING, PipelineState.RETRYING, PipelineState.COOLING_DOWN):
        return status
    return _with(status, state=PipelineState.PAUSED, next_run_at=None, reason="paused by hand")


def _waiting(step: Wait) -> PipelineState:
    return {BACKOFF: PipelineState.RETRYING, COOL_DOWN: PipelineState.COOLING_DOWN}.get(
        step.reason, PipelineState.WAITING
    )


def _sum(one: RunSummary, other: RunSummary) -> RunSummary:
    return RunSummary(
        consumed=one.consumed + other.consumed,
        written=one.written + other.written,
        filtered=one.filtered + other.filtered,
        dead=one.dead + other.dead,
        in_flight=one.in_flight + other.in_flight,
        letters=one.letters + other.letters,
        elapsed=one.elapsed + other.elapsed,
    )
