"""What a pipeline does next, and why: by what a worker decides with, from what is kept of it."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from random import Random

from agora_core.runner.books import Books
from agora_core.runner.cohorts import Cohort
from agora_core.runner.entries import Entry
from agora_core.runner.pace import RETRIES, Pace
from agora_core.runner.remembering import after_interruption, interrupted, restore, was_interrupted
from agora_core.runner.scheduled import ScheduledPipeline
from agora_core.runner.told import Hearing
from agora_core.spec.decisions import CaughtUp, Decision, SlotReason
from agora_core.spec.runs import Run
from agora_core.spec.state import PipelineMemory, WorkerClaim
from agora_core.spec.time import Stop, Wait

_LEAST, _GREATEST = 0.0, 1 - 2**-53
"""What `Random.random` may give."""

_MOST_DRAWN = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What is known of a pipeline."""

    scheduled: ScheduledPipeline
    pace: Pace
    now: datetime
    memory: PipelineMemory | None = None
    """What is kept of it, where anything is."""
    latest: Run | None = None
    """Its latest run in the history."""
    owner: WorkerClaim | None = None
    """The worker that runs it now, where one does."""

    @property
    def running(self) -> Run | None:
        """The run that goes on now."""
        is_on = self.owner is not None and self.latest is not None and self.latest.ended_at is None
        return self.latest if is_on else None

    @property
    def is_same_schedule(self) -> bool:
        """Whether what is kept of its slots is of the schedule that it has now."""
        return self.memory is not None and self.memory.schedule == str(self.scheduled.schedule)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """What comes next."""

    step: Wait | Stop | None
    """The next run or the end, by the worker that runs or by one that starts now; None while it is paused."""
    latest: datetime | None = None
    """Of a retry whose moment chance decides: the latest it may be; `step` is the earliest then."""
    decisions: tuple[Decision, ...] = ()
    """What becomes of slots that were missed while no worker ran, once one starts."""
    last: Run | None = None
    """The run from which the schedule goes on."""
    failures: int = 0
    """How many failures in a row there are."""


class StandingClock:
    """Shows one moment for ever."""

    def __init__(self, now: datetime) -> None:
        self._now = now

    def now(self) -> datetime:
        """Return the moment."""
        return self._now

    def monotonic(self) -> float:
        """Return the moment in seconds."""
        return self._now.timestamp()


class _Always(Random):
    """No chance: the least number each time, or the greatest.

    After the first ones it is chance as any other, since there are ways to draw that go on until they like a number:
    `choice` and `normalvariate` are among them, and a policy may have one of its own.
    """

    def __init__(self, number: float) -> None:
        super().__init__(0)
        self._number = number
        self._drawn = 0

    def random(self) -> float:
        self._drawn += 1
        return self._number if self._drawn <= _MOST_DRAWN else super().random()

    def randrange(self, start: int, stop: int | None = None, step: int = 1) -> int:
        numbers = range(start) if stop is None else range(start, stop, step)
        return numbers[-1 if self._number else 0]


def outlook(known: Known) -> Outlook:
    """Return what the pipeline does next."""
    memory = known.memory
    if memory is not None and memory.paused_at is not None:
        return Outlook(step=None, last=memory.last, failures=memory.consecutive_errors)
    if known.owner is None:
        return _started_now(known)
    return Outlook(step=known.pace.after(None, 0, known.now)) if memory is None else _goes_on(known, memory)


def _goes_on(known: Known, memory: PipelineMemory) -> Outlook:
    """Return what the worker that runs does next."""
    now, pace, last, failures, failed = known.now, known.pace, memory.last, memory.consecutive_errors, memory.last_run
    if memory.reason:
        return Outlook(step=Stop(memory.reason), last=last, failures=failures)
    if known.running is not None:
        return Outlook(step=pace.after(known.running, 0, now, memory.settled), last=last, failures=failures)
    if failures and failed is not None and failed.ended_at is not None:
        return _retry(pace, last, failures, failed_at=failed.ended_at, now=failed.ended_at)
    return Outlook(step=pace.after(last, 0, now, memory.settled), last=last)


def _started_now(known: Known) -> Outlook:
    """Return what a worker that starts now would do: its own books say it."""
    decisions: list[Decision] = []
    books = Books(Hearing(decided=decisions.append), StandingClock(known.now), lambda: False, lambda *_: None)
    # By the earliest that chance can give: that of the pool itself is for what it really does.
    entry = Entry(known.scheduled, Cohort(_by(_LEAST, known.pace), str(known.scheduled.schedule)))
    memory = known.memory
    if memory is None:
        return Outlook(step=books.steps.next(entry, 0))
    if was_interrupted(memory):
        is_cut = known.latest is not None and known.latest.ended_at is None
        cut = interrupted(known.latest, known.now) if is_cut and known.latest is not None else None
        memory = after_interruption(memory, cut)
    restore(entry, memory, known.now)
    failures, failed = entry.status.consecutive_errors, memory.last_run
    step = books.steps.first(entry)
    if isinstance(step, Wait) and step.reason in RETRIES and failed is not None and failed.ended_at is not None:
        return _retry(known.pace, entry.last, failures, failed_at=failed.ended_at, now=known.now)
    told = list(decisions)
    if entry.missed is not None and isinstance(step, Wait):
        reason, missed = entry.missed
        told.append(_caught_up(known, step, reason, missed.count))
    return Outlook(step=step, decisions=tuple(told), last=entry.last, failures=failures)


def _retry(pace: Pace, last: Run | None, failures: int, *, failed_at: datetime, now: datetime) -> Outlook:
    """Return the retry, or the end, from the earliest that chance can give it to the latest."""
    earliest, latest = (_by(number, pace).again(failures, now, failed_at) for number in (_LEAST, _GREATEST))
    if isinstance(earliest, Stop):
        return Outlook(step=earliest, last=last, failures=failures)
    # Where chance can put it behind the end of the schedule, it comes before that or not at all.
    until = latest.until if isinstance(latest, Wait) else getattr(pace.timetable, "end", None)
    is_known = until is None or until - earliest.until < timedelta(seconds=1)
    return Outlook(step=earliest, latest=None if is_known else until, last=last, failures=failures)


def _by(number: float, pace: Pace) -> Pace:
    """Return *pace* with this number for its chance."""
    return replace(pace, random=_Always(number))


def _caught_up(known: Known, step: Wait, reason: SlotReason, count: int) -> CaughtUp:
    return CaughtUp(
        pipeline_id=known.scheduled.id,
        at=step.until,
        reason=reason,
        slot=step.named,
        count=count,
        by=step.until - step.named,
    )
