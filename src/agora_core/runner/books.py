"""Keeps the books of all pipelines: what each run's start and end change, who is told, and what follows."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from os import urandom

from agora_core.runner import remembering, rhythm, statuses
from agora_core.runner.clock_steps import offset, step
from agora_core.runner.entries import ENDED, Entry
from agora_core.runner.failures import error_line
from agora_core.runner.letter_watch import unresolved
from agora_core.runner.live import Live
from agora_core.runner.pace import COOL_DOWN
from agora_core.runner.replacing import replacer
from agora_core.runner.slot_ledger import SlotLedger
from agora_core.runner.steps import Steps
from agora_core.runner.told import Notes, Told
from agora_core.spec.decisions import Decision
from agora_core.spec.engines import RunOrder, RunResult
from agora_core.spec.errors import ConfigError, ConservationError, DeadLetterError
from agora_core.spec.letters import DlqStore
from agora_core.spec.runs import Outcome, Run, RunSummary
from agora_core.spec.time import Clock, Stop, Wait

_run_with = replacer(Run)

_NOTICED = timedelta(seconds=1)
"""A run that was queued for less than this is as good as on time."""

Look = Callable[[Entry, DlqStore, timedelta | None, bool], None]
"""Told of a pipeline's store after each run, how long resolved letters are kept, and if it may hold something new."""


class Books:
    """Writes down what happens. Each pipeline's status is a frozen value, replaced at every event.

    *ends* tells whether all pipelines were asked to end, and *look* is told where dead letters are.
    """

    def __init__(self, events: Told, clock: Clock, ends: Callable[[], bool], look: Look) -> None:
        self.scribe: Notes | None = None
        """Keeps what pipelines are to remember, where a store does."""
        self._events = events
        self._clock = clock
        self._ends = ends
        self._look = look
        self._slots = SlotLedger(events, self._note)
        self.steps = Steps(self._slots, clock, events.pace_broken)
        """What follows, as pipelines' paces have it."""
        self.refused: dict[str, ConfigError] = {}
        """The pipelines that stopped because of a programming error or a wrong configuration."""
        self.cut: list[str] = []
        """The pipelines whose run was cancelled because the worker ended."""
        self.exhausted: dict[str, None] = {}
        """The pipelines that cool down, or try again, after too many failures in a row."""

    def is_asked(self, entry: Entry) -> bool:
        """Return whether the pipeline was asked to end, alone or with all others."""
        return entry.asked or self._ends()

    def begin(self, entry: Entry, order: RunOrder) -> Run:
        """A run begins."""
        run = Run(
            id=urandom(16).hex(),
            pipeline_id=order.pipeline_id,
            number=entry.numbers + order.run_no,
            attempt=max(order.attempt, entry.status.consecutive_errors + 1),
            slot=order.slot,
            started_at=self._clock.now(),
            trigger=order.reason,
            successes=entry.successes,
        )
        self._slots.begun(entry, run)
        entry.live = Live(reason=order.reason, offset=offset(self._clock), queued_for=order.queued_for)
        entry.status = statuses.started(entry.status, run, order.queued_for)
        self._events.run_started(run, order.queued_for)
        if order.queued_for is not None and order.queued_for >= _NOTICED:
            self._slots.delayed(entry, run, order.queued_for)
        self._note(entry, run=run)
        return run

    def succeeded(self, entry: Entry, run: Run, summary: RunSummary) -> RunResult:
        """A run ended well, or early because it was asked to."""
        early = summary.stopped_early and self.is_asked(entry)
        run = self._end(entry, run, Outcome.STOPPED if early else Outcome.SUCCESS, summary)
        failures = run.attempt - 1 if early else 0
        if not early:
            entry.successes = run.successes
            self.exhausted.pop(run.pipeline_id, None)
            entry.last = run
            self._slots.settle(entry, run)
            entry.longest = max(entry.longest, (run.ended_at or run.started_at) - run.started_at)
        entry.status = statuses.ended(entry.status, run, failures)
        self._events.run_finished(run)
        return self._result(entry, run, self.steps.next(entry, failures))

    def failed(self, entry: Entry, run: Run, error: BaseException) -> RunResult:
        """A run failed."""
        if isinstance(error, DeadLetterError) and entry.live is not None and entry.live.has_letters:
            entry.status = statuses.letter_lost(entry.status)
        run = self._end(entry, run, Outcome.FAILED, None, error_line(error), cause=error)
        self._slots.settle(entry, run)
        entry.status = statuses.ended(entry.status, run, run.attempt)
        self._events.run_failed(run, error)
        if isinstance(error, ConfigError):
            self.refused[run.pipeline_id] = error
            return self._result(entry, run, Stop(str(run.error), gave_up=True))
        return self._result(entry, run, self.steps.next(entry, run.attempt))

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
            self._slots.settle(entry, run)
        self._keep(entry, run)

    def broken(self, entry: Entry, error: Exception) -> Stop:
        """A run could not be executed, and nobody knows how far it had come: its pipeline ends."""
        run, entry.live = entry.status.current_run, None
        if run is not None:
            line = error_line(error)
            run = _run_with(run, ended_at=self._clock.now(), outcome=Outcome.FAILED, error=line)
            entry.status = statuses.ended(entry.status, run, run.attempt)
        step = Stop(f"its run could not be executed: {error_line(error)}", gave_up=True)
        self.decide(entry, step)
        self._keep(entry, entry.status.last_run, reason=step.reason)
        return step

    def passed_over(self, entry: Entry, slot: datetime) -> Wait | Stop:
        """The run of *slot* was cancelled by hand while it was queued: the schedule goes on from here."""
        now, pipeline_id = self._clock.now(), entry.status.id
        entry.status = statuses.left_queue(entry.status, None)
        self._slots.passed_over(entry, slot, now)
        entry.last = Run(
            id=urandom(16).hex(),
            pipeline_id=pipeline_id,
            number=0,
            attempt=1,
            slot=slot,
            started_at=now,
            ended_at=now,
            outcome=Outcome.CANCELLED,
            successes=entry.successes,
        )
        return self.decide(entry, self.steps.next(entry, entry.status.consecutive_errors))

    def resumed(self, entry: Entry) -> Wait | Stop | None:
        """Return the next step of a pipeline that was paused, or None where its wait stays: no slot is made up for."""
        since, entry.paused_at = entry.paused_at, None
        if since is not None and entry.pace.has_slots:
            self.steps.pass_over(entry, since)
        self._note(entry)
        if since is None or not entry.pace.has_slots or entry.status.consecutive_errors:
            return None
        return self.steps.next(entry, 0)

    def paused(self, entry: Entry) -> None:
        """Keep that the pipeline was paused by hand."""
        entry.paused_at = self._clock.now()
        self._slots.settle_before(entry, None, entry.paused_at)
        self._note(entry)

    def decide(self, entry: Entry, wanted: Wait | Stop) -> Wait | Stop:
        """Publish what happens next, and return it: what was asked to end has no next run."""
        if isinstance(wanted, Wait) and self.is_asked(entry):
            wanted = Stop(statuses.ASKED)
        entry.status = statuses.decided(entry.status, wanted)
        if isinstance(wanted, Wait) and wanted.reason == COOL_DOWN:
            self.exhausted[entry.status.id] = None
        if isinstance(wanted, Stop):
            if wanted.gave_up:
                self.exhausted.pop(entry.status.id, None)
            self._events.pipeline_stopped(entry.status.id, self._clock.now(), wanted)
        return wanted

    def clock_was_set(self, entry: Entry, wait: Wait, by: timedelta) -> Wait:
        """Publish what *wait* has become, now that the wall clock was set, and return it."""
        moved = self.steps.moved(entry, wait, by)
        if entry.status.state not in ENDED:
            entry.status = statuses.moved(entry.status, moved.until)
        return moved

    def _end(
        self,
        entry: Entry,
        run: Run,
        outcome: Outcome,
        summary: RunSummary | None,
        error: str | None = None,
        *,
        cause: BaseException | None = None,
    ) -> Run:
        live, entry.live = entry.live, None
        now, started_at = self._clock.now(), run.started_at
        if live is not None:
            # Where the clock was set meanwhile, the start is told by the clock as it is now, or the run took no time.
            started_at += step(live.offset, offset(self._clock))
        if summary is None:
            summary = (live and live.counts) or RunSummary(elapsed=now - started_at)
        entry.successes += outcome is Outcome.SUCCESS
        run = _run_with(
            run,
            started_at=started_at,
            ended_at=now,
            outcome=outcome,
            summary=summary,
            error=error,
            successes=entry.successes,
        )
        if live is not None:
            if outcome is not Outcome.STOPPED and not (outcome is Outcome.CANCELLED and self.is_asked(entry)):
                self._slots.ended(entry, run, live)  # else the next worker deals with what passed meanwhile
            self._check_conservation(entry, run, live, cause)
            self._look_at_letters(entry, run, live, cause)
        return run

    def _check_conservation(self, entry: Entry, run: Run, live: Live, cause: BaseException | None) -> None:
        """Count a run whose records do not add up, and say so as loudly as can be: it is always a bug."""
        if live.is_counted and (isinstance(cause, ConservationError) or not run.summary.is_conserved):
            entry.status = statuses.not_conserved(entry.status)
            self._events.not_conserved(run)

    def _keep(self, entry: Entry, run: Run | None, *, reason: str = "") -> None:
        if entry.memory is not None and entry.memory.interruptions:
            entry.memory = replace(entry.memory, interruptions=0)
        self._note(entry, run=run, reason=reason)

    def _note(
        self, entry: Entry, *, run: Run | None = None, decision: Decision | None = None, reason: str = ""
    ) -> None:
        """Have the scribe keep what is new; where no worker comes after this one, only what is history."""
        scribe = self.scribe
        if scribe is None:
            return
        if scribe.remembers:
            scribe.note(remembering.memory_of(entry, reason=reason), run=run, decision=decision)
        elif decision is not None or (run is not None and run.outcome is not None):
            scribe.note(run=run, decision=decision)

    def _look_at_letters(self, entry: Entry, run: Run, live: Live, cause: BaseException | None) -> None:
        """Have the store looked after, and asked where the answer may be a new one."""
        store, known = live.letters, entry.status.dlq
        if store is not None:
            may_be_new = known is None or run.summary.dead > 0 or unresolved(known) > 0
            in_trouble = bool(entry.status.dlq_troubles) or isinstance(cause, DeadLetterError)
            self._look(entry, store, live.keeps_resolved, may_be_new or in_trouble)

    def _result(self, entry: Entry, run: Run, wanted: Wait | Stop) -> RunResult:
        decision = self.decide(entry, wanted)
        self._keep(entry, run, reason=decision.reason if isinstance(decision, Stop) else "")
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
