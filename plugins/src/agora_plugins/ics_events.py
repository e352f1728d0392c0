"""`Ics`: the days of the events of an iCalendar file."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from pathlib import Path

from icalendar import Calendar, Event
from recurring_ical_events import CalendarQuery, of  # type: ignore[import-untyped]  # it ships no types

from agora.plugins import ConfigError, Zone

_LARGEST_FILE = 16 * 1024 * 1024
_DAY = timedelta(days=1)
_MOMENT = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Ics:
    """Excludes every day of *timezone* that an event in the file at *path* touches; cancelled events do not count.

    The file is read once, when the schedule is built.
    """

    path: str
    timezone: str | None = None
    _zone: Zone = field(init=False, repr=False, compare=False)
    _events: CalendarQuery = field(init=False, repr=False, compare=False)
    _years: dict[int, frozenset[date]] = field(init=False, repr=False, compare=False, default_factory=dict)
    """The days that were asked for, by year: repeated events are worked out once."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "_zone", Zone.named(self.timezone))
        object.__setattr__(self, "_events", _read(Path(self.path)))
        for year in (2026, 2027):
            self._days(year)  # a rule that cannot be worked out is told where the calendar is written

    def excludes(self, day: date) -> bool:
        """Return whether an event is on *day*."""
        return day in self._days(day.year)

    def _days(self, year: int) -> frozenset[date]:
        if year not in self._years:
            try:
                # Two days more on both sides: an event of another zone may be in this year here.
                found = self._events.between(date(year, 1, 1) - 2 * _DAY, date(year + 1, 1, 1) + 2 * _DAY)
                days = frozenset(day for event in found for day in self._touched(event))
            except (ValueError, TypeError, OverflowError) as error:
                raise ConfigError(f"path: {self.path!r} has events that cannot be worked out: {error}") from error
            self._years[year] = days
        return self._years[year]

    def _touched(self, event: Event) -> Iterator[date]:
        if str(event.get("STATUS", "")).upper() == "CANCELLED":
            return
        first, end = self._local(event.start), self._local(event.end)
        day, last = first.date(), max(first, end - _MOMENT).date()
        while day <= last:
            yield day
            day += _DAY

    def _local(self, value: date | datetime) -> datetime:
        """Return *value* by the clock of the zone; a date and a naive time are by that of any zone."""
        if not isinstance(value, datetime):
            return datetime.combine(value, time())
        return value if value.tzinfo is None else value.astimezone(self._zone.tz).replace(tzinfo=None)


def _read(path: Path) -> CalendarQuery:
    try:
        with path.open("rb") as file:
            raw = file.read(_LARGEST_FILE + 1)
        if len(raw) > _LARGEST_FILE:
            raise ConfigError(f"path: {str(path)!r} is larger than {_LARGEST_FILE} bytes")
        return of(Calendar.from_ical(raw))
    except OSError as error:
        raise ConfigError(f"path: {str(path)!r} cannot be read: {error.strerror or error}") from error
    except (ValueError, KeyError, IndexError, TypeError) as error:
        raise ConfigError(f"path: {str(path)!r} is no iCalendar file: {error}") from error
