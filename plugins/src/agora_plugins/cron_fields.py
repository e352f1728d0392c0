"""The six fields of a cron expression: a gate before croniter, which takes more than cron, and reads some otherwise."""

import re
from dataclasses import dataclass

from croniter import croniter  # type: ignore[import-untyped]  # it ships no types

from agora.plugins import ConfigError


@dataclass(frozen=True, slots=True)
class Field:
    """One field: its *name*, the values that it has, and in words what it *takes*."""

    name: str
    number: int
    """Its place in croniter's tables."""
    every: tuple[int, ...]
    takes: str


SECOND = Field("second", 5, tuple(range(60)), "0-59")
MINUTE = Field("minute", 0, tuple(range(60)), "0-59")
HOUR = Field("hour", 1, tuple(range(24)), "0-23")
DAY = Field("day of month", 2, tuple(range(1, 32)), "1-31, or L for the last")
MONTH = Field("month", 3, tuple(range(1, 13)), "1-12 or JAN-DEC")
WEEKDAY = Field("day of week", 4, tuple(range(7)), "0-7 or SUN-SAT, FRI#2 for the second, L5 for the last")
FIELDS = (SECOND, MINUTE, HOUR, DAY, MONTH, WEEKDAY)

_RANGE = re.compile(r"(?P<low>\w+)-(?P<high>\w+)(?P<rest>/0*[1-9]\d*|#\d+)?", re.ASCII)
_RANDOM = re.compile(r"r(\(.*|/.*)?", re.ASCII)
_STEP_FROM = re.compile(r"(?!h/)\w+/\d+", re.ASCII)
_OF_A_WEEK = re.compile(r".+#.*|l\d+", re.ASCII)


def gated(one: Field, word: str) -> str:
    """Return *word* as croniter reads it the way cron does, or refuse it."""
    if _RANDOM.fullmatch(word):
        raise ConfigError(f"the {one.name} {word!r} would be another at each start; H gives a fixed one")
    if one in (DAY, WEEKDAY) and word == "?":
        return "*"  # Quartz's word for it
    if one is DAY and word == "h":
        return "h(1-28)"  # a day that every month has
    items = word.split(",")
    if one is DAY and any("w" in item for item in items):
        raise ConfigError(f"the {one.name} {word!r} asks for the nearest working day, which cron does not know")
    if one is WEEKDAY:
        _refuse_doubtful_weekdays(word, items)
    return ",".join(_gated_range(one, item) for item in items)


def _refuse_doubtful_weekdays(word: str, items: list[str]) -> None:
    for item in items:
        if _STEP_FROM.fullmatch(item):
            start, _, step = item.partition("/")
            raise ConfigError(
                f"the day of week {item!r} does not say where it ends; write {start}-6/{step} or {start}-7/{step}"
            )
    of_a_week = [bool(_OF_A_WEEK.fullmatch(item)) for item in items]
    if any(of_a_week) and not all(of_a_week):
        raise ConfigError(f"the day of week {word!r} mixes days of every week with days of some; make it two schedules")


def _gated_range(one: Field, item: str) -> str:
    """Return *item* with `a-a` as `a`, where croniter sees the whole field; refuse a range that runs backwards."""
    match = _RANGE.fullmatch(item)
    low, high = (_value(one, match[side]) for side in ("low", "high")) if match else (None, None)
    if match is None or low is None or high is None:
        return item  # no range of ours to judge; croniter refuses what is none at all
    if low > high:
        if one is WEEKDAY and high == 0:
            raise ConfigError(f"the {one.name} {item!r} runs backwards; a Sunday at the end is 7: {low}-7")
        raise ConfigError(
            f"the {one.name} {item!r} runs backwards; write it as two: {low}-{one.every[-1]},{one.every[0]}-{high}"
        )
    if low < high:
        return item
    return match["low"] + (match["rest"] if (match["rest"] or "").startswith("#") else "")


def _value(one: Field, word: str) -> int | None:
    if word.isdecimal():
        return int(word)
    value = croniter.ALPHACONV[one.number].get(word)
    return one.every[-1] if value == "l" else value if isinstance(value, int) else None
