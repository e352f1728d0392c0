"""Time as the core sees it: a clock that is an argument, timetables, backoff policies, and the next step."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import Protocol

from agora_core.spec.runs import Run


class Clock(Protocol):
    """Tells the time; real in production, driven by hand in tests."""

    def now(self) -> datetime:
        """Return the wall time as an aware UTC datetime."""

    def monotonic(self) -> float:
        """Return seconds that never go back."""


class Timetable(Protocol):
    """The rule built from a schedule. May have `summary`, a few words for lists; must not keep state."""

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


@dataclass(frozen=True, slots=True)
class Stop:
    """Never run again: *reason* in words, *gave_up* when it is because of failures."""

    reason: str
    gave_up: bool = False
