"""The local times that a cron expression names, as if clocks never changed."""

from bisect import bisect_left
from calendar import monthrange
from collections.abc import Iterator
from datetime import MAXYEAR, date

from agora_plugins.cron_text import LAST_WEEK, CronSets

_DAY = 86_400
_EPOCH = date(1970, 1, 1).toordinal()


def local_times(sets: CronSets, start: int) -> Iterator[int]:
    """Yield the local times that fire from *start* on, in seconds since 1970, to the end of the calendar."""
    today = start // _DAY
    for day in matching_days(sets, date.fromordinal(today + _EPOCH)):
        midnight = (day - _EPOCH) * _DAY
        if day - _EPOCH == today:
            yield from _rest_of_day(sets, midnight, start - midnight)
            continue
        for hour in sets.hours:
            for minute in sets.minutes:
                base = midnight + hour * 3600 + minute * 60
                for second in sets.seconds:
                    yield base + second


def matching_days(sets: CronSets, start: date, last_year: int = MAXYEAR) -> Iterator[int]:
    """Yield the ordinals of the days that match from *start* to the end of *last_year*."""
    year, month, first = start.year, start.month, start.day
    while year <= last_year:
        if sets.months >> month & 1:
            last = monthrange(year, month)[1]
            before = date(year, month, 1).toordinal() - 1
            for day in range(first, last + 1):
                if _matches(sets, day, last, (before + day) % 7):
                    yield before + day
        first = 1
        year, month = (year, month + 1) if month < 12 else (year + 1, 1)


def ever_fires(sets: CronSets) -> bool:
    """Whether any day matches: the 28 years from 2000 on hold every kind of year there is."""
    return any(matching_days(sets, date(2000, 1, 1), last_year=2027))


def _matches(sets: CronSets, day: int, last: int, weekday: int) -> bool:
    by_month = sets.days >> day & 1 == 1 or (sets.last_day and day == last)
    if sets.weeks:
        weeks = sets.weeks.get(weekday, frozenset())
        by_week = (day + 6) // 7 in weeks or (LAST_WEEK in weeks and day + 7 > last)
    else:
        by_week = sets.weekdays >> weekday & 1 == 1
    return (by_month and by_week) if sets.both_days else (by_month or by_week)


def _rest_of_day(sets: CronSets, midnight: int, start: int) -> Iterator[int]:
    """Yield the times of the day that began at *midnight*, from its second *start* on."""
    first_hour, rest = divmod(start, 3600)
    first_minute, first_second = divmod(rest, 60)
    for hour in sets.hours[bisect_left(sets.hours, first_hour) :]:
        in_hour = hour == first_hour
        for minute in sets.minutes[bisect_left(sets.minutes, first_minute) if in_hour else 0 :]:
            in_minute = in_hour and minute == first_minute
            for second in sets.seconds[bisect_left(sets.seconds, first_second) if in_minute else 0 :]:
                yield midnight + hour * 3600 + minute * 60 + second
