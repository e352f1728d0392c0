"""What in a cron expression is probably not meant, though cron takes it."""

import re
from calendar import monthrange
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import takewhile

from agora.plugins import Finding, Stretch, Zone
from agora_plugins.cron_changes import Changes, Gap
from agora_plugins.cron_fields import DAY, FIELDS, HOUR, MINUTE, MONTH, SECOND, WEEKDAY, Field
from agora_plugins.cron_local import local_times, matching_days
from agora_plugins.cron_text import CronSets

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_YEAR = timedelta(days=400)
_LATE = 6 * 60
_CHANGED = 180 * 60
_SHOWN = 4
_MONTHS = ("", "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_STEP = re.compile(r"\*/0*(\d+)", re.ASCII)
_RANGE = re.compile(r"(\d+)-(\d+)", re.ASCII)
_SIZES = {SECOND: 60, MINUTE: 60, HOUR: 24, MONTH: 12}


def findings(expression: str, sets: CronSets, changes: Changes, zone: Zone, now: datetime) -> Iterator[Finding]:
    """Yield what is doubtful in *expression*, which names *sets*, as things stand *now*."""
    text = expression.strip()
    if not text.startswith("@"):
        words = text.split()
        words = words if len(words) == 6 else ["0", *words]
        yield from _in_words(words)
        yield from _days(words, sets)
        if not words[3].startswith("*"):
            yield from _missing_days(sets, now)
    yield from _changes(sets, changes, zone, now)


def _in_words(words: list[str]) -> Iterator[Finding]:
    for one, word in zip(FIELDS, words, strict=True):
        for item in word.split(","):
            step, span = _STEP.fullmatch(item), _RANGE.fullmatch(item)
            if step:
                yield from _uneven(one, item, int(step[1]))
            elif span and span[1] == span[2]:
                yield Finding(
                    code="range-of-one",
                    message=f"the {one.name} {item!r} is {int(span[1])} alone",
                    hint=f"write {int(span[1])}, or the range that is meant",
                )
            elif span and one not in (DAY, WEEKDAY) and set(range(int(span[1]), int(span[2]) + 1)) >= set(one.every):
                yield Finding(
                    code="full-range",
                    message=f"the {one.name} {item!r} is every one, but not as * is: where clocks change, a job whose "
                    "minute and hour do not begin with * counts as one of a fixed time",
                    hint="write *",
                )


def _uneven(one: Field, item: str, step: int) -> Iterator[Finding]:
    if one is DAY and 1 < step <= 31:
        last = range(1, 32, step)[-1]
        yield Finding(
            code="uneven-step",
            message=f"the {one.name} {item!r} begins anew each month: after day {last} comes day 1, "
            f"{'a day' if last == 31 else f'{32 - last} days'} later in a long month",
            hint="for every so many days, use Schedule.every(days=…)",
        )
    size = _SIZES.get(one, 0)
    if size and step < size and size % step:
        first = one.every[0]
        last = range(first, first + size, step)[-1]
        divisors = ", ".join(f"*/{number}" for number in range(2, size) if size % number == 0)
        yield Finding(
            code="uneven-step",
            message=f"the {one.name} {item!r} does not divide {size}: after {last} comes {first}, "
            f"{size + first - last} later and not {step}",
            hint=f"even are {divisors}; for an even span, use Schedule.every(…)",
        )
    elif size and step >= size:
        yield Finding(
            code="uneven-step",
            message=f"the {one.name} {item!r} is {one.every[0]} alone, since {step} is past its end",
            hint=f"write {one.every[0]}",
        )


def _days(words: list[str], sets: CronSets) -> Iterator[Finding]:
    day, weekday = words[3], words[5]
    if sets.both_days or {"*", "?"} & {day, weekday}:
        return
    every_day, every_weekday = _is_full(sets.days, DAY), _is_full(sets.weekdays, WEEKDAY) and not sets.weeks
    if every_day or every_weekday:
        full, other = (day, weekday) if every_day else (weekday, day)
        yield Finding(
            code="full-range",
            message=f"the day {full!r} is every day, and one of the two day fields is enough where neither begins "
            f"with *: it runs every day, and {other!r} counts for nothing",
            hint=f"write * for {full!r}",
        )
        return
    yield Finding(
        code="day-or-weekday",
        message=f"it runs on the days of month {day!r} and also on the weekdays {weekday!r}: where neither field "
        "begins with *, one of them is enough",
        hint="for one of them write * in the other; FRI#2 is the second Friday of the month, L5 the last",
    )


def _is_full(bits: int, one: Field) -> bool:
    return all(bits >> value & 1 for value in one.every)


def _missing_days(sets: CronSets, now: datetime) -> Iterator[Finding]:
    """Find days that some of the months do not have."""
    if sets.last_day or _is_full(sets.days, DAY) or (not sets.both_days and not _is_full(sets.weekdays, WEEKDAY)):
        return
    months = [month for month in range(1, 13) if sets.months >> month & 1]
    late = [day for day in (29, 30, 31) if sets.days >> day & 1]
    without = [month for month in months if any(day > monthrange(2023, month)[1] for day in late)]
    if not without:
        return
    if months == [2] and late == [29] and not sets.days & (1 << 29) - 1:
        first = date.fromordinal(next(matching_days(sets, now.date())))
        yield Finding(
            code="leap-day",
            message=f"it runs on 29 February alone, which leap years have: the next is {first}",
            hint="write L for the last day of February",
        )
        return
    but = " (but in leap years)" if without == [2] and late == [29] else ""
    yield Finding(
        code="missing-day",
        message=f"not every month has a day {_listed([str(day) for day in late])}: nothing runs for it in "
        f"{_listed([_MONTHS[month] for month in without])}{but}",
        hint="write L for the last day of each month",
    )


def _changes(sets: CronSets, changes: Changes, zone: Zone, now: datetime) -> Iterator[Finding]:
    """Find the next two changes of the clocks that meet a local time of the expression."""
    at, until = int((now - _EPOCH).total_seconds()), int((now + _YEAR - _EPOCH).total_seconds())
    seen = 0
    while at < until and seen < 2:
        stretch = zone.steady(at)
        at = stretch.end
        if not stretch.change:
            continue
        seen += 1
        if abs(stretch.change) <= _CHANGED:
            yield from _change(sets, changes, zone, stretch)


def _change(sets: CronSets, changes: Changes, zone: Zone, stretch: Stretch) -> Iterator[Finding]:
    end, change = stretch.end, stretch.change
    old, new = end + stretch.offset, end + stretch.offset + change
    met = list(takewhile(lambda local: local < max(old, new), local_times(sets, min(old, new))))
    follows_the_clock = sets.wildcard and len(sets.hours) == 24
    if not met or follows_the_clock or (change > 0 and sets.wildcard and change < _LATE):
        return
    day = (_EPOCH + timedelta(seconds=end)).astimezone(zone.tz)
    times = _listed([_clock(local) for local in met])
    if change > 0:
        what = f"{times} does not exist" if len(met) == 1 else f"{times} do not exist"
        then = _after_gap(changes, _clock(new))
    else:
        what = f"{times} comes twice" if len(met) == 1 else f"{times} come twice"
        then = f"and {changes.of_repeated}"
    yield Finding(
        code="clock-change",
        message=f"on {day:%a %Y-%m-%d} the clocks go from {_clock(old)} to {_clock(new)}: {what}, {then}",
        hint="an hour that no clock change touches, or the zone UTC, has none of this",
    )


def _after_gap(changes: Changes, end: str) -> str:
    if changes.gap is Gap.SHIFT:
        return "and each runs as long after the gap as it is in it"
    return f"and it runs once, at {end}" if changes.runs_after_gaps else "and nothing is run for that"


def _clock(local: int) -> str:
    return f"{local % 86_400 // 3600:02}:{local % 3600 // 60:02}"


def _listed(values: list[str]) -> str:
    return ", ".join(values if len(values) <= _SHOWN else [*values[:_SHOWN], "…"])
