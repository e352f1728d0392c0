"""`Solar`: the timetable of an event of the sun at a place."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone

from astral import Observer, sun

from agora.plugins import ConfigError, Run, did_you_mean, finite_number

_EVENTS: dict[str, Callable[..., datetime]] = {
    "dawn": sun.dawn,
    "sunrise": sun.sunrise,
    "noon": sun.noon,
    "sunset": sun.sunset,
    "dusk": sun.dusk,
}
_DAY = timedelta(days=1)
_YEAR = 400
"""So many days are looked through for the next event: polar nights and days are shorter."""
_MOST_MINUTES = 720


@dataclass(frozen=True, slots=True)
class Solar:
    """Start at *event*, or *offset_minutes* after it (before, if negative), on each day that has it at the place.

    Dawn and dusk are civil: the sun is 6 degrees below the horizon. Degrees south and west are negative.
    """

    event: str
    latitude: float
    longitude: float
    offset_minutes: float = 0
    _place: Observer = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.event not in _EVENTS:
            known = ", ".join(_EVENTS)
            raise ConfigError(
                f"event must be one of {known}, not {self.event!r}{did_you_mean(str(self.event), _EVENTS)}"
            )
        finite_number("latitude", self.latitude, least=-90, most=90)
        finite_number("longitude", self.longitude, least=-180, most=180)
        finite_number("offset_minutes", self.offset_minutes, least=-_MOST_MINUTES, most=_MOST_MINUTES)
        object.__setattr__(self, "_place", Observer(self.latitude, self.longitude))
        if next(self._events(datetime(2026, 1, 1, tzinfo=UTC)), None) is None:
            raise ConfigError(f"there is never a {self.event} at latitude {self.latitude:g}")

    @property
    def summary(self) -> str:
        """The schedule in words, such as `30 min before sunset at 52.5, 13.4`."""
        minutes = abs(self.offset_minutes)
        offset = f"{minutes:g} min {'after' if self.offset_minutes > 0 else 'before'} " if minutes else ""
        return f"{offset}{self.event} at {self.latitude:g}, {self.longitude:g}"

    def next_start(self, now: datetime, last: Run | None) -> datetime | None:
        """Return the first event after *now*, in UTC; days without it, as polar ones, are passed over."""
        return next((event for event in self._events(now) if event > now), None)

    def _events(self, now: datetime) -> Iterator[datetime]:
        """Yield the events from shortly before *now* on, each at the moment of its run."""
        # By the mean time of the place no event but a polar one is near midnight, where it would change its date.
        local = timezone(timedelta(hours=round(self.longitude / 15)))
        offset = timedelta(minutes=self.offset_minutes)
        first = (now - offset).astimezone(local).date() - _DAY
        for number in range(_YEAR):
            try:
                event = _EVENTS[self.event](self._place, first + number * _DAY, tzinfo=local)
            except (ValueError, OverflowError):  # not on this day
                continue
            # Whole seconds: the last digits are no news, and differ from one machine's arithmetic to another's.
            yield event.astimezone(UTC).replace(microsecond=0) + offset
