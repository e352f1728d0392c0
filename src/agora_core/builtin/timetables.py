"""The built-in timetables: when the next run is due, as functions of values."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import ClassVar

from agora_core.spec.errors import ConfigError
from agora_core.spec.numbers import finite_number
from agora_core.spec.runs import Run

_UNITS = (("d", timedelta(days=1)), ("h", timedelta(hours=1)), ("min", timedelta(minutes=1)))
_LONGEST = timedelta(days=365_000)


@dataclass(frozen=True, slots=True, init=False)
class Every:
    """A fixed interval after each run has ended; the first run at once."""

    spans: ClassVar = True
    interval: timedelta

    def __init__(self, *, seconds: float = 0, minutes: float = 0, hours: float = 0, days: float = 0) -> None:
        given = {"seconds": seconds, "minutes": minutes, "hours": hours, "days": days}
        for name, value in given.items():
            finite_number(name, value, least=0)
        try:
            interval = timedelta(seconds=seconds, minutes=minutes, hours=hours, days=days)
        except OverflowError:
            interval = timedelta.max
        if not timedelta(0) < interval <= _LONGEST:
            written = ", ".join(f"{name}={value!r}" for name, value in given.items() if value) or "nothing"
            raise ConfigError(f"an interval must be more than 0 and at most {_LONGEST.days} days, not {written}")
        object.__setattr__(self, "interval", interval)

    @property
    def summary(self) -> str:
        """The interval in words, such as `every 6 h`."""
        words, rest = [], self.interval
        for name, unit in _UNITS:
            count, rest = divmod(rest, unit)
            if count:
                words.append(f"{count} {name}")
        if rest:
            words.append(f"{rest.total_seconds():f}".rstrip("0").rstrip(".") + " s")
        return f"every {' '.join(words)}"

    def next_start(self, now: datetime, last: Run | None) -> datetime | None:
        """Return now for the first run, else the end of the *last* one and the interval.

        A run that ended later than it is *now* did so by a clock that was set back since: the interval begins now.
        """
        if last is None:
            return now
        ended = min(last.ended_at or last.started_at, now)
        try:
            return ended + self.interval
        except OverflowError:
            raise ConfigError(
                f"{self.summary}: after {ended:%Y-%m-%d} there is no next run before the year 9999"
            ) from None


@dataclass(frozen=True, slots=True)
class Continuous:
    """At once after each run."""

    spans: ClassVar = True
    interval: ClassVar = timedelta(0)

    @property
    def summary(self) -> str:
        """The schedule in a word."""
        return "continuous"

    def next_start(self, now: datetime, last: Run | None) -> datetime | None:
        """Return now."""
        return now


@dataclass(frozen=True, slots=True)
class Once:
    """At once, until one run has ended well; each worker begins anew."""

    forgets: ClassVar = True

    spans: ClassVar = True

    @property
    def summary(self) -> str:
        """The schedule in a word."""
        return "once"

    def next_start(self, now: datetime, last: Run | None) -> datetime | None:
        """Return now, or None after a success."""
        return now if last is None else None
