"""What happens next to a pipeline, as a function of values."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from random import Random

from agora_core.spec.runs import Run
from agora_core.spec.time import BackoffPolicy, Stop, Timetable, Wait

SCHEDULE = "schedule"
BACKOFF = "backoff"

_EARLY = timedelta(milliseconds=10)
"""So much before its slot a run may start, and end, since clocks and timers are not exact."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """The rule of one pipeline: its timetable, and how often and after what wait it is retried."""

    timetable: Timetable
    backoff: BackoffPolicy
    max_consecutive_errors: int
    random: Random

    def after(self, last: Run | None, failures: int, now: datetime) -> Wait | Stop:
        """Return the next step, given the *last* run that ended well and the *failures* in a row since.

        A failed run is retried right after its backoff, not after the schedule's interval too.
        """
        if failures >= self.max_consecutive_errors:
            runs = "run" if failures == 1 else "runs in a row"
            return Stop(f"{failures} failed {runs}", gave_up=True)
        if failures:
            return Wait(now + self.backoff.delay(failures, self.random), BACKOFF, is_span=True)
        due = self.timetable.next_start(_behind_its_slot(now, last), last)
        if due is None:
            return Stop("its schedule names no further run")
        return Wait(due, SCHEDULE, is_span=is_of_spans(self.timetable))

    def moved(self, wait: Wait, last: Run | None, now: datetime, by: timedelta) -> Wait:
        """Return what *wait* has become, now that the wall clock was set *by* so much and shows *now*.

        A span ends as late by the new clock as by the old. A moment stays, but for a clock that had been ahead, by a
        year maybe: what the schedule names earlier comes earlier.
        """
        if wait.is_span:
            return replace(wait, until=wait.until + by)
        if by >= timedelta(0):
            return wait
        due = self.timetable.next_start(now, last)
        return wait if due is None else replace(wait, until=min(wait.until, due))


def _behind_its_slot(now: datetime, last: Run | None) -> datetime:
    """Return *now*, or the slot of the *last* run where that is only just to come: it must not be named again."""
    return last.slot if last is not None and now < last.slot <= now + _EARLY else now


def is_of_spans(timetable: Timetable) -> bool:
    """Return whether *timetable* names spans after the last run, and no moments of the calendar."""
    return getattr(timetable, "spans", False) is True
