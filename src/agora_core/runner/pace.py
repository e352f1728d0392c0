"""What happens next to a pipeline, as a function of values."""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from random import Random

from agora_core.runner.slots import MOST_COUNTED, NextSlot, next_slot, settled_by
from agora_core.spec.decisions import SlotReason
from agora_core.spec.misfires import Misfire, MisfirePolicy
from agora_core.spec.runs import Run
from agora_core.spec.time import BackoffPolicy, Stop, Timetable, Wait

SCHEDULE = "schedule"
BACKOFF = "backoff"
CAUGHT_UP = "caught_up"
COOL_DOWN = "cool_down"
TRIGGER = "trigger"
"""The reason of a run that was started by hand."""

RETRIES = (BACKOFF, COOL_DOWN)
"""The reasons of runs that follow failures."""

NO_RETRY = "its last run failed, and its schedule ends before a retry"
"""Why a pipeline stops that may not be retried any more."""

_EARLY = timedelta(milliseconds=10)
"""So much before its slot a run may start, and end, since clocks and timers are not exact."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """The rule of one pipeline: its timetable, and how often and after what wait it is retried.

    After *max_consecutive_errors* failures in a row it gives up, or waits its *cool_down* before each further try.
    """

    timetable: Timetable
    backoff: BackoffPolicy
    max_consecutive_errors: int
    random: Random
    misfire: Misfire = field(default_factory=Misfire)
    """What becomes of slots that were missed."""
    cool_down: timedelta | None = None
    """How long it waits after too many failures in a row; None where it gives up then."""
    most_counted: int = MOST_COUNTED
    """So many missed slots are counted at most."""

    def after(self, last: Run | None, failures: int, now: datetime, settled: datetime | None = None) -> Wait | Stop:
        """Return the next step, given the *last* run that ended well and the *failures* in a row since.

        A failed run is retried right after its backoff, not after the schedule's interval too, but within the bounds of
        the schedule. No slot up to *settled* is named again.
        """
        if failures >= self.max_consecutive_errors:
            if self.cool_down is not None:
                return self._retry(now + self.cool_down, COOL_DOWN)
            return Stop(in_a_row(failures), gave_up=True)
        if failures:
            return self._retry(now + self.backoff.delay(failures, self.random), BACKOFF)
        begin = self._from(last, now, settled)
        due = self.timetable.next_start(begin, last)
        if due is None:
            return Stop("its schedule names no further run")
        if due.tzinfo is not None and due <= begin:
            due = min(due, now)  # at once, and no moment of the calendar: the clock may have been set back meanwhile
        return Wait(due, SCHEDULE, is_span=is_of_spans(self.timetable) and not _is_fixed(self.timetable, due))

    def again(self, failures: int, now: datetime, failed_at: datetime) -> Wait | Stop:
        """Return what follows a run that failed under another worker, the last of *failures* in a row."""
        failed_at = min(failed_at, now)  # the clock may have been set back since
        if self.cool_down is not None and failures >= self.max_consecutive_errors:
            return self._retry(max(failed_at + self.cool_down, now), COOL_DOWN)
        return self._retry(max(failed_at + self.backoff.delay(failures, self.random), now), BACKOFF)

    def judged(self, wait: Wait, now: datetime) -> Wait | Stop:
        """Return what becomes of a retry when its *wait* is over: the clock may have been set since it was decided."""
        due = max(wait.until, now)
        step = self._retry(due, wait.reason)
        return wait if isinstance(step, Wait) and step.until == due else step

    def missed(self, last: Run | None, now: datetime, settled: datetime | None, reason: SlotReason) -> NextSlot:
        """Return the next slot after *settled*, and what becomes of those that were missed for *reason*."""
        return next_slot(
            self.timetable,
            last,
            settled=settled,
            now=now,
            misfire=self.misfire,
            reason=reason,
            most_counted=self.most_counted,
        )

    @property
    def has_slots(self) -> bool:
        """Whether the timetable names moments, and no spans after the last run."""
        return not is_of_spans(self.timetable)

    @property
    def forgets(self) -> bool:
        """Whether the timetable wants to know nothing of earlier workers' runs."""
        return getattr(self.timetable, "forgets", False) is True

    def moved(
        self, wait: Wait, last: Run | None, now: datetime, by: timedelta, settled: datetime | None = None
    ) -> Wait:
        """Return what *wait* has become, now that the wall clock was set *by* so much and shows *now*.

        A span ends as late by the new clock as by the old. A moment stays, but for a clock that had been ahead, by a
        year maybe: what the schedule names earlier comes earlier.
        """
        if wait.is_span:
            wait = replace(wait, until=wait.until + by)
            step = self._retry(wait.until, wait.reason) if wait.reason in RETRIES else wait
            return step if isinstance(step, Wait) else wait  # over the end: it is judged when it is due
        if by >= timedelta(0) or wait.slot is not None:
            return wait
        due = self.timetable.next_start(self._from(last, now, settled), last)
        return wait if due is None else replace(wait, until=min(wait.until, due))

    def _retry(self, due: datetime, reason: str) -> Wait | Stop:
        """Return the wait for a retry that is due then, or at the first moment after that the schedule allows."""
        within = getattr(self.timetable, "within", None)
        allowed = due if within is None else within(due)
        if allowed is None:
            return Stop(NO_RETRY, gave_up=True)
        return Wait(allowed, reason, is_span=allowed == due)

    def _from(self, last: Run | None, now: datetime, settled: datetime | None) -> datetime:
        """Return the moment after which the next slot is looked for."""
        known = settled_by(settled, now)
        begin = _behind_its_slot(now, last)
        if known is None or is_of_spans(self.timetable):
            return begin
        return known if self.misfire.policy is MisfirePolicy.RUN_ALL else max(begin, known)


def in_a_row(failures: int) -> str:
    """Return so many *failures* in a row in words."""
    return f"{failures} failed {'run' if failures == 1 else 'runs in a row'}"


def _behind_its_slot(now: datetime, last: Run | None) -> datetime:
    """Return *now*, or the slot of the *last* run where that is only just to come: it must not be named again."""
    return last.slot if last is not None and now < last.slot <= now + _EARLY else now


def _is_fixed(timetable: Timetable, due: datetime) -> bool:
    """Return whether *due*, where *timetable* is of spans, is one of the calendar all the same, as a start is."""
    judge = getattr(timetable, "is_fixed", None)
    return judge is not None and judge(due) is True


def is_of_spans(timetable: Timetable) -> bool:
    """Return whether *timetable* names spans after the last run, and no moments of the calendar."""
    return getattr(timetable, "spans", False) is True
