"""Timetables of the proof, and what slots they name by a plain count of minutes: no line here is the worker's."""

from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)

ZONES = (
    "Africa/Cairo", "Africa/Casablanca", "America/Asuncion", "America/Havana", "America/New_York", "America/Nuuk",
    "America/Santiago", "America/Sao_Paulo", "America/St_Johns", "Antarctica/Troll", "Asia/Beirut", "Asia/Jerusalem",
    "Asia/Kathmandu", "Atlantic/Azores", "Australia/Adelaide", "Australia/Lord_Howe", "Europe/Berlin", "Europe/Dublin",
    "Pacific/Auckland", "Pacific/Chatham",
)  # fmt: skip
"""Zones that change their clocks, or did: by an hour, by half of one, by two; at midnight, at odd hours, never."""


@dataclass(frozen=True, kw_only=True)
class Calendar:
    """Slots that were counted beforehand, and the timetable that looks them up."""

    slots: tuple[datetime, ...]

    def next_start(self, now, last):
        place = bisect_right(self.slots, now)
        return self.slots[place] if place < len(self.slots) else None

    def between(self, after, until):
        """Return the slots in (after, until]."""
        return self.slots[bisect_right(self.slots, after) : bisect_right(self.slots, until)]

    def place(self, slot):
        """Return the place of *slot*, or None where it is no slot."""
        place = bisect_left(self.slots, slot)
        return place if place < len(self.slots) and self.slots[place] == slot else None


def grid(begin, days, minutes):
    """Return every so many *minutes* of UTC."""
    count = (days + 30) * 24 * 60 // minutes
    return Calendar(slots=tuple(begin - 9 * DAY + number * minutes * MINUTE for number in range(count)))


def changes(zone, year):
    """Return the moments of *year* at which the clocks of *zone* change, to the minute."""
    found, moment = [], datetime(year, 1, 1, tzinfo=UTC)
    while moment.year == year:
        if _offset(zone, moment) != _offset(zone, moment + HOUR):
            found += [
                moment + (n + 1) * MINUTE
                for n in range(60)
                if _offset(zone, moment + n * MINUTE) != _offset(zone, moment + (n + 1) * MINUTE)
            ]
        moment += HOUR
    return found


known_changes = cache(changes)


def by_wildcard(zone, begin, days, hours):
    """Return what `0 */hours * * *` names: each minute whose local time is such an hour, both passes of it."""
    tz = ZoneInfo(zone)
    first = begin - 9 * DAY
    moments = (first + number * 15 * MINUTE for number in range((days + 30) * 96))
    local = ((moment, moment.astimezone(tz)) for moment in moments)
    return Calendar(slots=tuple(moment for moment, here in local if here.minute == 0 and here.hour % hours == 0))


def by_fixed_time(zone, begin, days, hour, minute):
    """Return what `minute hour * * *` names: skipped, the minute after the gap; repeated, the first pass alone."""
    tz = ZoneInfo(zone)
    today = (begin - 9 * DAY).date()
    slots = []
    for number in range(days + 30):
        day = today + number * DAY
        moment = datetime(day.year, day.month, day.day, hour, minute, tzinfo=tz).astimezone(UTC)
        here = moment.astimezone(tz)
        if (here.hour, here.minute) != (hour, minute):
            while _offset(zone, moment - MINUTE) == _offset(zone, moment):
                moment -= MINUTE
        slots.append(moment)
    return Calendar(slots=tuple(slots))


def _offset(zone, moment):
    return moment.astimezone(ZoneInfo(zone)).utcoffset()
