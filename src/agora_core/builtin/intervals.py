"""Intervals by the clock: every so often, counted from a fixed time of day, however long runs take."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from typing import ClassVar

from agora_core.builtin.timetables import Every
from agora_core.spec.errors import ConfigError
from agora_core.spec.runs import Run
from agora_core.spec.time import Timetable
from agora_core.spec.zones import Stretch, Zone

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_SECOND = 1_000_000
_FIRST_DAY = datetime(2001, 1, 1)  # noqa: DTZ001  # a Monday, by whatever clock the schedule goes
_HOUR = timedelta(hours=1)
_CHANGED = 180 * 60
"""A clock that changes by more seconds than this, either way, has simply jumped."""


def interval(  # they are options of one schedule
    *,
    seconds: float = 0,
    minutes: float = 0,
    hours: float = 0,
    days: float = 0,
    anchor: str | time | datetime | None = None,
    timezone: str | None = None,
) -> Timetable:
    """Return the timetable of an interval: after each run, or by the clock of *timezone* where there is an *anchor*."""
    every = Every(seconds=seconds, minutes=minutes, hours=hours, days=days)
    return every if anchor is None else Aligned(every, anchor, timezone)


@dataclass(frozen=True, slots=True)
class Aligned:
    """Every interval of local time from *anchor*: that time on Monday, 1 January 2001, or a moment of its own.

    A time that the clocks skip comes right after the gap. Of times that they repeat, intervals of more than an hour
    take the first pass only, shorter ones both, so that they leave no hole. Clocks that change by more than three hours
    have jumped: nothing is made up for.
    """

    MOST: ClassVar = timedelta(days=36_525)

    every: Every
    anchor: str | time | datetime
    timezone: str | None = None
    _zone: Zone = field(init=False, repr=False, compare=False)
    _base: int = field(init=False, repr=False, compare=False)
    """Local microseconds since 1970 of the anchor."""

    def __post_init__(self) -> None:
        if self.every.interval > self.MOST:
            raise ConfigError(f"an interval with an anchor must be at most {self.MOST.days} days")
        zone = Zone.named(self.timezone)
        base = (_moment(self.anchor, zone).replace(tzinfo=UTC) - _EPOCH) // _MICROSECOND
        for name, value in (("timezone", zone.name), ("_zone", zone), ("_base", base)):
            object.__setattr__(self, name, value)

    @property
    def summary(self) -> str:
        """The schedule in words, such as `every 6 h at 00:00 Europe/Berlin`."""
        zone = "" if self.timezone == "UTC" else f" {self.timezone}"
        return f"{self.every.summary} at {self.anchor}{zone}"

    def next_start(self, now: datetime, last: Run | None) -> datetime | None:
        """Return the first slot after *now*, in UTC, or None where the calendar ends."""
        after = (now - _EPOCH) // _MICROSECOND
        second = min(max(after // _SECOND, Zone.FIRST), Zone.LAST)
        after = max(after, second * _SECOND - 1)
        # In the second pass of a repeated hour the walk begins in the first one, to know what has run.
        start, change = second - self._zone.overlap(second), 0
        while start < Zone.LAST:
            stretch = self._zone.steady(start)
            if start * _SECOND > after and 0 < change <= _CHANGED and self._skipped(stretch, start, change):
                return _EPOCH + start * _SECOND * _MICROSECOND
            begin = start - change if -_CHANGED <= change < 0 and self.every.interval > _HOUR else start
            slot = self._from(stretch, max(begin * _SECOND, after + 1))
            if slot < stretch.end * _SECOND:
                return _EPOCH + slot * _MICROSECOND
            # Where no clock changes the walk goes on shortly before the slot, since one may change until then.
            start = stretch.end if stretch.change else max(stretch.end, slot // _SECOND - Zone.REACH)
            change = stretch.change
        return None

    def _from(self, stretch: Stretch, least: int) -> int:
        """Return the first slot at or after *least* by the clock of *stretch*."""
        step = self.every.interval // _MICROSECOND
        return least + (self._base - stretch.offset * _SECOND - least) % step

    def _skipped(self, stretch: Stretch, start: int, change: int) -> bool:
        """Whether the clocks, when they went forward at *start*, skipped a slot."""
        before = Stretch(stretch.offset - change, start, change)
        return self._from(before, start * _SECOND) < (start + change) * _SECOND


def _moment(anchor: object, zone: Zone) -> datetime:
    """Return the local time from which intervals are counted."""
    if isinstance(anchor, str):
        anchor = _read(anchor)
    if isinstance(anchor, datetime):
        return anchor if anchor.tzinfo is None else anchor.astimezone(zone.tz).replace(tzinfo=None)
    if isinstance(anchor, time) and anchor.tzinfo is None:
        return datetime.combine(_FIRST_DAY, anchor)
    raise ConfigError(f"anchor must be a time of day such as '00:00', or a moment, not {anchor!r}")


def _read(text: str) -> time | datetime:
    for kind in (time, datetime):
        try:
            return kind.fromisoformat(text)
        except ValueError:
            continue
    raise ConfigError(
        f"anchor must be a time of day such as '00:00', or a moment such as '2026-01-05T06:00', not {text!r}"
    )
