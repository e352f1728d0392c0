"""What is written down of one pipeline in a simulation: in the very books that a worker keeps."""

from collections.abc import Callable
from datetime import datetime, timedelta

from agora_core.runner import remembering
from agora_core.runner.books import Books
from agora_core.runner.cohorts import Cohort
from agora_core.runner.entries import Entry
from agora_core.runner.pace import BACKOFF, SCHEDULE, Pace
from agora_core.runner.scheduled import ScheduledPipeline
from agora_core.runner.slots import ON_TIME
from agora_core.runner.tallies import Tally
from agora_core.runner.told import Hearing
from agora_core.runner.walks import microseconds, moment_of
from agora_core.spec.decisions import Decision, Skipped
from agora_core.spec.engines import RunOrder
from agora_core.spec.errors import RunError
from agora_core.spec.health import PipelineState
from agora_core.spec.runs import Run, RunSummary
from agora_core.spec.state import PipelineMemory
from agora_core.spec.time import Stop, Wait

_NO_RECORDS = RunSummary()
_FAILURE = RunError("it was drawn to fail")

Drawn = Callable[[int, int, str], None]
"""Told of each run, from when to when in microseconds since 1970 and how it ended, and of skipped slots."""


class _Time:
    """A clock that shows what it is told to."""

    moment = moment_of(0)

    def now(self) -> datetime:
        return self.moment

    def monotonic(self) -> float:
        return self.moment.timestamp()


class Diary:
    """Decides by books of its own what one pipeline does; what they tell goes to *tally*, and to *draw* if given."""

    def __init__(
        self, scheduled: ScheduledPipeline, pace: Pace, tally: Tally, draw: Drawn | None, *, remembers: bool
    ) -> None:
        self._scheduled = scheduled
        self._cohort = Cohort(pace, str(scheduled.schedule))
        self._tally = tally
        self._draw = draw
        self._time = _Time()
        told = Hearing(decided=self._heard_decision, planned=self._heard_plan, stopped=self._heard_stop)
        self._books = Books(told, self._time, lambda: False, lambda *_: None)
        self.remembers = remembers
        self._entry = Entry(scheduled, self._cohort)
        self._memory: PipelineMemory | None = None
        self._kept_run: Run | None = None
        self._runs = 0
        """How many runs there were under this worker."""

    @property
    def is_known(self) -> bool:
        """Whether an earlier worker has left anything of the pipeline."""
        return self._memory is not None

    def start(self, now: datetime) -> Wait | Stop:
        """Have a worker start, and return what comes first."""
        entry = self._entry = Entry(self._scheduled, self._cohort)
        self._runs = 0
        self._time.moment = now
        self._books.scribe = self if self.remembers else None
        self._books.refused.clear()
        self._tally.ended = ""
        if self._memory is not None:
            memory = self._memory
            if remembering.was_interrupted(memory):
                cut = remembering.interrupted(self._kept_run, now) if self._kept_run is not None else None
                memory = self._memory = remembering.after_interruption(memory, cut)
            remembering.restore(entry, memory, now)
        elif self.remembers:
            self._memory = self._cohort.beginning(self._scheduled.id, now)
        if entry.status.state is PipelineState.REGISTERED and entry.memory is not None:
            return self._on_time(self._books.decide(entry, self._books.steps.first(entry)))
        return self._on_time(self._books.decide(entry, self._books.steps.next(entry, entry.status.consecutive_errors)))

    def leave_out(self, runs: int) -> None:
        """So many *runs* began and ended that nobody will ask for."""
        self._runs += runs

    def open(self, wait: Wait, at: datetime, queued_for: timedelta | None) -> Run:
        """Write down that the run of *wait* began at *at*, after it was *queued_for* so long."""
        self._runs += 1
        self._time.moment = at
        order = RunOrder(
            pipeline_id=self._scheduled.id,
            run_no=self._runs,
            attempt=1,
            fencing_token=self._runs,
            slot=wait.named,
            reason=wait.reason,
            queued_for=queued_for,
        )
        return self._books.begin(self._entry, order)

    def close(self, run: Run, at: datetime, *, fails: bool = False) -> Wait | Stop:
        """Write down that *run* ended at *at*, and return what follows."""
        self._time.moment = at
        if fails:
            return self._on_time(self._books.failed(self._entry, run, _FAILURE).decision)
        return self._on_time(self._books.succeeded(self._entry, run, _NO_RECORDS).decision)

    def note(
        self, memory: PipelineMemory | None = None, *, run: Run | None = None, decision: Decision | None = None
    ) -> None:
        """Keep what a state store would have when the worker dies."""
        self._memory = memory or self._memory
        self._kept_run = run or self._kept_run

    def _on_time(self, step: Wait | Stop) -> Wait | Stop:
        """Return *step*, decided anew where it is due at once for a slot that passed a while ago."""
        if isinstance(step, Stop) or step.is_span or step.reason != SCHEDULE:
            return step
        if self._time.moment - step.until <= ON_TIME:
            return step
        return self._books.decide(self._entry, self._books.steps.overdue(self._entry, step))

    def _heard_decision(self, decision: Decision) -> None:
        self._tally.decided(decision)
        if isinstance(decision, Skipped) and self._draw is not None:
            slot = microseconds(decision.slot)
            self._draw(slot, slot, decision.kind)

    def _heard_stop(self, at: datetime, step: Stop) -> None:
        self._tally.ended = step.reason
        if step.gave_up:
            self._tally.gave_up.append(at)

    def _heard_plan(self, run: Run, step: Wait) -> None:
        if step.reason == BACKOFF and run.ended_at is not None:
            self._tally.backoff += step.until - run.ended_at
