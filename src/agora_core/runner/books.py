"""Keeps the books of all pipelines: what each run's start and end change, who is told, and what follows."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, timedelta
from os import urandom

from agora_core.runner import rhythm, statuses
from agora_core.runner.clock_steps import offset, step
from agora_core.runner.entries import ENDED, Entry
from agora_core.runner.events import Events
from agora_core.runner.failures import error_line
from agora_core.runner.letter_watch import unresolved
from agora_core.runner.live import Live
from agora_core.runner.replacing import replacer
from agora_core.spec.engines import RunOrder, RunResult
from agora_core.spec.errors import ConfigError, DeadLetterError
from agora_core.spec.letters import DlqStore
from agora_core.spec.runs import Outcome, Run, RunSummary
from agora_core.spec.time import Clock, Stop, Wait

_run_with = replacer(Run)


class Books:
    """Writes down what happens. Each pipeline's status is a frozen value, replaced at every event.

    *ends* tells whether all pipelines were asked to end, and *look* is told whose dead letters may have changed.
    """

    def __init__(
        self, events: Events, clock: Clock, ends: Callable[[], bool], look: Callable[[Entry, DlqStore], None]
    ) -> None:
        self._events = events
        self._clock = clock
        self._ends = ends
        self._look = look
        self.refused: dict[str, ConfigError] = {}
        """The pipelines that stopped because of a programming error or a wrong configuration."""
        self.cut: list[str] = []
        """The pipelines whose run was cancelled because the worker ended."""

    def is_asked(self, entry: Entry) -> bool:
        """Return whether the pipeline was asked to end, alone or with all others."""
        return entry.asked or self._ends()

    def begin(self, entry: Entry, order: RunOrder) -> Run:
        """A run begins."""
        run = Run(
            id=urandom(16).hex(),
            pipeline_id=order.pipeline_id,
            number=order.run_no,
            attempt=order.attempt,
            slot=order.slot,
            started_at=self._clock.now(),
        )
        entry.live = Live(reason=order.reason, offset=offset(self._clock))
        entry.status = statuses.started(entry.status, run)
        self._events.run_started(run)
        return run

    def succeeded(self, entry: Entry, run: Run, summary: RunSummary) -> RunResult:
        """A run ended well, or early because it was asked to."""
        early = summary.stopped_early and self.is_asked(entry)
        run = self._end(entry, run, Outcome.STOPPED if early else Outcome.SUCCESS, summary)
        failures = run.attempt - 1 if early else 0
        if not early:
            entry.last = run
            entry.longest = max(entry.longest, (run.ended_at or run.started_at) - run.started_at)
        entry.status = statuses.ended(entry.status, run, failures)
        self._events.run_finished(run)
        return self._result(entry, run, self.next_step(entry, failures))

    def failed(self, entry: Entry, run: Run, error: BaseException) -> RunResult:
        """A run failed."""
        if isinstance(error, DeadLetterError) and entry.live is not None and entry.live.letters is not None:
            entry.status = statuses.letter_lost(entry.status)
        run = self._end(entry, run, Outcome.FAILED, None, error_line(error))
        entry.status = statuses.ended(entry.status, run, run.attempt)
        self._events.run_failed(run, error)
        if isinstance(error, ConfigError):
            self.refused[run.pipeline_id] = error
            return self._result(entry, run, Stop(str(run.error), gave_up=True))
        return self._result(entry, run, self.next_step(entry, run.attempt))

    def cancelled(self, entry: Entry, run: Run, error: BaseException) -> None:
        """A run was cancelled; what it raised instead is told too."""
        asked = self.is_asked(entry)
        run = self._end(entry, run, Outcome.CANCELLED, None, statuses.CUT if asked else "its run was cancelled")
        entry.status = statuses.ended(entry.status, run, run.attempt - 1)
        self._events.run_cut(run, error)
        if asked:
            self.cut.append(run.pipeline_id)
            self.decide(entry, Stop(statuses.CUT))
        else:
            entry.last = run  # so that the schedule goes on from here, and does not start it anew at once

    def next_step(self, entry: Entry, failures: int) -> Wait | Stop:
        """Ask the pipeline's pace; a schedule or a policy that cannot answer stops the pipeline."""
        try:
            wanted = entry.pace.after(entry.last, failures, self._clock.now())
            return wanted if isinstance(wanted, Stop) or wanted.until.tzinfo is UTC else _in_utc(wanted)
        except Exception as error:  # noqa: BLE001  # a border: timetables and policies are plugins
            self._events.pace_broken(entry.status.id, error)
            return Stop(f"its schedule or its backoff policy failed: {error_line(error)}", gave_up=True)

    def decide(self, entry: Entry, wanted: Wait | Stop) -> Wait | Stop:
        """Publish what happens next, and return it: what was asked to end has no next run."""
        if isinstance(wanted, Wait) and self.is_asked(entry):
            wanted = Stop(statuses.ASKED)
        entry.status = statuses.decided(entry.status, wanted)
        if isinstance(wanted, Stop):
            self._events.pipeline_stopped(entry.status.id, self._clock.now(), wanted)
        return wanted

    def clock_was_set(self, entry: Entry, wait: Wait, by: timedelta) -> Wait:
        """Publish what *wait* has become, now that the wall clock was set, and return it."""
        try:
            moved = entry.pace.moved(wait, entry.last, self._clock.now(), by)
            moved = _in_utc(moved)
        except Exception as error:  # noqa: BLE001  # a border: timetables are plugins; the next run's end will tell
            self._events.pace_broken(entry.status.id, error)
            return wait
        if entry.status.state not in ENDED:
            entry.status = statuses.moved(entry.status, moved.until)
        return moved

    def _end(
        self, entry: Entry, run: Run, outcome: Outcome, summary: RunSummary | None, error: str | None = None
    ) -> Run:
        live, entry.live = entry.live, None
        now, started_at = self._clock.now(), run.started_at
        if live is not None:
            # Where the clock was set meanwhile, the start is told by the clock as it is now, or the run took no time.
            started_at += step(live.offset, offset(self._clock))
        if summary is None:
            summary = (live and live.counts) or RunSummary(elapsed=now - started_at)
        run = _run_with(run, started_at=started_at, ended_at=now, outcome=outcome, summary=summary, error=error)
        if live is not None:
            self._count_skipped(entry, run, live.reason)
            self._look_at_letters(entry, run, live.letters)
        return run

    def _count_skipped(self, entry: Entry, run: Run, reason: str) -> None:
        before = entry.status.last_run
        since = run.slot if run.attempt == 1 or before is None or before.ended_at is None else before.ended_at
        try:
            counts = rhythm.skipped(entry.pace.timetable, entry.last, run, reason=reason, since=since)
        except Exception:  # noqa: BLE001  # a border: timetables are plugins; one that fails is told at the next step
            return
        if counts:
            entry.status = statuses.skipped(entry.status, counts)

    def _look_at_letters(self, entry: Entry, run: Run, store: DlqStore | None) -> None:
        """Ask the store where the answer may be a new one."""
        if store is None:
            return
        known = entry.status.dlq
        if known is None or run.summary.dead or unresolved(known):
            self._look(entry, store)

    def _result(self, entry: Entry, run: Run, wanted: Wait | Stop) -> RunResult:
        decision = self.decide(entry, wanted)
        if isinstance(decision, Wait):
            self._events.planned(run, decision)
            if run.outcome is Outcome.SUCCESS:
                self._tell_staleness(entry, run, decision)
        return RunResult(status=run.outcome or Outcome.FAILED, counts=run.summary, error=run.error, decision=decision)

    def _tell_staleness(self, entry: Entry, run: Run, wait: Wait) -> None:
        try:
            oldest = rhythm.max_staleness(entry.pace.timetable, run, wait, entry.longest)
        except Exception:  # noqa: BLE001  # a border: timetables are plugins, and dates end with the year 9999
            oldest = None
        entry.status = statuses.stale_after(entry.status, oldest)


def _in_utc(wait: Wait) -> Wait:
    if wait.until.tzinfo is None:
        raise TypeError(f"the schedule named {wait.until!r}, which has no time zone")
    return replace(wait, until=wait.until.astimezone(UTC))
