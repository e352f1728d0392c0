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
    moment of the calendar: such a wait is as long as it is, however the wall clock is set meanwhile. One whose builder
    asks for the `pipeline_id` is built for each pipeline, unless it says by `shared = True` that it made no use of it.
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
    """Run again at *until*; *reason* is one of `schedule` and `backoff`."""

    until: datetime
    reason: str
    is_span: bool = field(default=False, compare=False)
    """Whether it is the span until then that counts; else it is the moment that the wall clock shows."""


@dataclass(frozen=True, slots=True)
class Stop:
    """Never run again: *reason* in words, *gave_up* when it is because of failures."""

    reason: str
    gave_up: bool = False
