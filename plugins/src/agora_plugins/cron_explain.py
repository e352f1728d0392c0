"""Why a moment is a slot of a cron expression, or is none, where its text does not show it: clocks and fields."""

from calendar import timegm
from collections.abc import Iterable
from datetime import datetime, timedelta, tzinfo
from itertools import takewhile

from agora_plugins.cron_changes import Changes, Gap
from agora_plugins.cron_local import local_times, matching_days
from agora_plugins.cron_text import CronSets

_SHOWN = 6
_CHANGED = timedelta(hours=3)
"""Clocks that change by more have jumped."""
_SHIFTED = "it runs as long after the gap as it is in it"
_MONTHS = ("", "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def explain_slot(sets: CronSets, changes: Changes, moment: datetime, zone: tzinfo) -> str:
    """Return why a slot is at *moment*, or an empty text where its local time is what the expression names."""
    local = moment.astimezone(zone)
    if mismatch(sets, local):
        if changes.gap is Gap.SHIFT:
            named = moment + _offset(moment - _CHANGED, zone)
            return f"{named:%H:%M} does not exist that day, since the clocks go forward: {_SHIFTED}"
        return _skipped(sets, moment, zone)
    if _comes_twice(local):
        return f"{local:%H:%M} comes twice that day, since the clocks go back, and {changes.of_repeated}"
    return ""


def explain_none(sets: CronSets, changes: Changes, moment: datetime, zone: tzinfo) -> str:
    """Return why no slot is at *moment*."""
    local = moment.astimezone(zone)
    wrong = mismatch(sets, local)
    if wrong:
        skipped = _skipped(sets, moment, zone)
        then = _SHIFTED if changes.gap is Gap.SHIFT else "nothing is run for that"
        return f"{skipped}: {then}" if skipped else wrong
    if _comes_twice(local):
        return f"{local:%H:%M} comes twice that day, since the clocks go back, and {changes.of_repeated}"
    return ""


def _skipped(sets: CronSets, moment: datetime, zone: tzinfo) -> str:
    """Return which times of the expression the clocks skip at *moment*; nothing where they skip none."""
    local = moment.astimezone(zone)
    before = (moment - timedelta(seconds=1)).astimezone(zone) + timedelta(seconds=1)
    begin, end = (timegm(one.timetuple()) for one in (before, local))
    lost = [
        f"{one % 86_400 // 3600:02}:{one % 3600 // 60:02}" for one in takewhile(end.__gt__, local_times(sets, begin))
    ]
    do = "does" if len(lost) == 1 else "do"
    clocks = f"the clocks go from {before:%H:%M} to {local:%H:%M}"
    return f"{_list(lost)} {do} not exist that day, since {clocks}" if lost else ""


def _offset(moment: datetime, zone: tzinfo) -> timedelta:
    return moment.astimezone(zone).utcoffset() or timedelta(0)


def mismatch(sets: CronSets, local: datetime) -> str:
    """Return which field keeps the expression from naming the local time *local*; nothing where it names it."""
    if not sets.months >> local.month & 1:
        return f"it is {_MONTHS[local.month]}, and the months are {_list(_MONTHS[one] for one in _bits(sets.months))}"
    if next(matching_days(sets, local.date()), None) != local.toordinal():
        return f"{local:%a %Y-%m-%d} is none of its days"
    for name, value, named in (
        ("hour", local.hour, sets.hours),
        ("minute", local.minute, sets.minutes),
        ("second", local.second, sets.seconds),
    ):
        if value not in named:
            are = f"is {named[0]}" if len(named) == 1 else f"is one of {_list(map(str, named))}"
            return f"the {name} is {value} then, and in the expression it {are}"
    return ""


def _comes_twice(local: datetime) -> bool:
    return local.replace(fold=0).utcoffset() != local.replace(fold=1).utcoffset() and _exists(local)


def _exists(local: datetime) -> bool:
    return local.replace(fold=0).utcoffset() > local.replace(fold=1).utcoffset()  # type: ignore[operator]  # it is aware


def _bits(number: int) -> list[int]:
    return [one for one in range(number.bit_length()) if number >> one & 1]


def _list(values: Iterable[str]) -> str:
    found = list(values)
    return ", ".join(found if len(found) <= _SHOWN else [*found[:_SHOWN], "…"])
