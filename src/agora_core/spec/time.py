"""Time as the core sees it: a clock that is an argument, timetables, backoff policies, and the next step."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from typing import Protocol

from agora_core.spec.runs import Run


class Clock(Protocol):
    """Tells the time; real in production, driven by hand in tests."""

    def now(self) -> datetime:
        """Return the wall time as an aware UTC datetime."""

    def monotonic(self) -> float:
        """Return seconds that never go back, and pass at their pace however the wall time is set."""


class Timetable(Protocol):
    """The rule built from a schedule; must not keep state.

    May have `summary`, a few words for lists; and `spans = True` where it names a span after the last run and no
    moment of the calendar: such a wait is as long as it is, however the wall clock is set meanwhile; then a method
    `is_fixed(due)` may say which moments are of the calendar all the same. `forgets = True` says that the runs of
    earlier workers do not count, even where state is kept. One whose builder
    asks for the `pipeline_id` is built for each pipeline, unless it says by `shared = True` that it made no use of it.
    A method `within(moment)` may return the first moment from *moment* on at which a run may start at all, None where
    there is none: retries after failures go by it, and by nothing else of the timetable.

    What `agora schedule` tells of it is better where it also has some of these: `timezone`, the name of the zone in
    which it is meant; `slots(after)`, an iterator of what `next_start` names one after the other, where that does not
    depend on *last*; `interval`, the timedelta from the end of any run to the next one, where it is always the same;
    `explain(moment)`, one sentence on why *moment* is a slot or none where the schedule's text does not show it, else
    an empty one; and `lint(now)`, a sequence of `Finding` on what is probably not meant.
    """

    def next_start(self, now: datetime, last: Run | None) -> datetime | None:
        """Return when the next run is due (aware; a past moment means at once), or None when there is none any more.

        *last* is the last run that ended well, None before the first.
        """


class BackoffPolicy(Protocol):
    """How long a failed pipeline waits before it is retried."""

    def delay(self, failures: int, random: Random) -> timedelta:
        """Return the wait after *failures* (1 or more) in a row, never negative; chance comes from *random* alone."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Run again at *until*; *reason* is one of `schedule`, `backoff`, `caught_up` and `cool_down`."""

    until: datetime
    reason: str
    is_span: bool = field(default=False, compare=False)
    """Whether it is the span until then that counts; else it is the moment that the wall clock shows."""
    slot: datetime | None = field(default=None, compare=False)
    """The slot that the run is for, where that is another moment than *until*."""

    @property
    def named(self) -> datetime:
        """The slot that the run is for."""
        return self.until if self.slot is None else self.slot


@dataclass(frozen=True, slots=True)
class Stop:
    """Never run again: *reason* in words, *gave_up* when it is because of failures."""

    reason: str
    gave_up: bool = False
