"""Recurrence rules: from the text of RFC 5545 to a rule of dateutil that goes by one clock, and its bounds."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from itertools import islice

from dateutil.rrule import rrule, rrulestr  # type: ignore[import-untyped]  # it ships no types

from agora.plugins import ConfigError, Zone

_LONGEST = 2048
_MOST_COUNTED = 10_000
_FIRST_DAY = datetime(2001, 1, 1)  # noqa: DTZ001  # a Monday, by the clock of the rule's zone
_END = datetime(9999, 12, 31)  # noqa: DTZ001  # as above
_START = re.compile(
    r"DTSTART(?:;TZID=(?P<zone>[^;:]+)|;VALUE=DATE(?:-TIME)?)*:(?P<moment>\d{8}(?:T\d{6}Z?)?)", re.ASCII
)
_MOST_STEPS = 100_000
_MONTH = timedelta(days=31)
_DAYS = {"BYMONTHDAY", "BYDAY", "BYYEARDAY", "BYWEEKNO", "BYEASTER"}
_CYCLE = timedelta(days=28 * 366)
"""In 28 years there is every kind of year, without those that end a century."""
_CYCLE_STEPS = 1000
_STEPS = {
    "WEEKLY": timedelta(weeks=1),
    "DAILY": timedelta(days=1),
    "HOURLY": timedelta(hours=1),
    "MINUTELY": timedelta(minutes=1),
    "SECONDLY": timedelta(seconds=1),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A rule by the clock of *zone*, whose times are naive: from *start* to *until*."""

    zone: Zone
    start: datetime
    until: datetime | None
    """The last moment at which there can be a slot, in UTC."""
    times: rrule
    counted: tuple[datetime, ...] | None
    """All of the times, where the rule says how many they are."""
    step: timedelta | int | None
    """By whole steps of this, an int is months, the start can be put off without a change to what follows."""
    in_both_passes: bool
    """Whether times that the clocks repeat count twice: the rule is hourly or finer."""

    def times_from(self, least: datetime) -> Iterable[datetime]:
        """Return its times from *least* on; those are not walked to from its start, which may be far behind."""
        if self.counted is not None:
            return (one for one in self.counted if one >= least)
        walk: Iterable[datetime] = _put_off(self.times, self.start, self.step, least).xafter(least, inc=True)
        return walk


def read_rule(text: object, timezone: str | None) -> Rule:
    """Return the rule that *text* is, or raise `ConfigError` with what is wrong in it."""
    if not isinstance(text, str) or not text.strip() or len(text) > _LONGEST:
        raise ConfigError(f"rule must be a text such as 'FREQ=WEEKLY;BYDAY=MO;BYHOUR=9', not {text!r:.80}")
    lines = [line.strip().upper() if "TZID" not in line else line.strip() for line in text.splitlines() if line.strip()]
    starts = [line for line in lines if line.startswith("DTSTART")]
    rules = [line.removeprefix("RRULE:") for line in lines if not line.startswith("DTSTART")]
    if len(starts) > 1 or len(rules) != 1 or (not rules[0].startswith("FREQ=") and ";FREQ=" not in rules[0]):
        raise ConfigError(
            f"the rule {text!r:.200} must be one RRULE, with at most a DTSTART before it on a line of its own; "
            "days without runs are named by exclude"
        )
    zone, start = _read_start(starts[0], timezone) if starts else (Zone.named(timezone), _FIRST_DAY)
    parts = dict(part.partition("=")[::2] for part in rules[0].rstrip(";").split(";"))
    count, until = parts.pop("COUNT", None), parts.pop("UNTIL", None)
    if count is not None and (until is not None or not starts):
        raise ConfigError(f"the rule {text!r:.200}: COUNT needs a DTSTART to count from, and no UNTIL beside it")
    _interval(parts)
    if parts["FREQ"] == "MONTHLY" and not _DAYS & parts.keys():
        parts["BYMONTHDAY"] = str(start.day)  # as it is meant, also where the rule is looked at from another month
    try:
        times = rrulestr(";".join(f"{name}={value}" for name, value in parts.items()), dtstart=start)
    except (ValueError, TypeError, AttributeError, OverflowError) as error:
        raise ConfigError(f"the rule {text!r:.200} cannot be read: {error}") from error
    frequency, step = parts["FREQ"], _step(parts)
    if not _comes_true(times, start, step):
        raise ConfigError(f"the rule {text!r:.200} never comes true")
    return Rule(
        zone=zone,
        start=start,
        until=None if until is None else _until(until, zone),
        times=times,
        counted=None if count is None else tuple(islice(times, _count(count))),
        step=step,
        in_both_passes=frequency in ("HOURLY", "MINUTELY", "SECONDLY"),
    )


def _read_start(line: str, timezone: str | None) -> tuple[Zone, datetime]:
    """Return the zone of a DTSTART, and its local time there."""
    match = _START.fullmatch(line)
    if match is None:
        raise ConfigError(f"{line!r:.200} is no DTSTART such as 'DTSTART;TZID=Europe/Berlin:20260105T090000'")
    local = _moment(match["moment"], "DTSTART")
    named = match["zone"] or ("UTC" if local.tzinfo is not None else None)
    if named is not None and timezone is not None and named != timezone:
        raise ConfigError(f"DTSTART is in {named}, and timezone is {timezone}; one of them is enough")
    return Zone.named(named or timezone, "DTSTART" if named else "timezone"), local.replace(tzinfo=None)


def _until(text: str, zone: Zone) -> datetime:
    """Return the last moment of UNTIL; a date counts as a whole."""
    moment = _moment(text, "UNTIL")
    return zone.aware(moment if "T" in text else datetime.combine(moment, time.max))


def _moment(text: str, name: str) -> datetime:
    try:
        if "T" not in text:
            return datetime.strptime(text, "%Y%m%d")  # noqa: DTZ007  # by the clock of the rule's zone
        moment = datetime.strptime(text.removesuffix("Z"), "%Y%m%dT%H%M%S")  # noqa: DTZ007  # as above
    except ValueError:
        raise ConfigError(f"{name} must be as in 20260105T090000, with a Z for UTC, not {text!r:.80}") from None
    return moment.replace(tzinfo=UTC) if text.endswith("Z") else moment


def _count(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text[:9]) <= _MOST_COUNTED:
        raise ConfigError(f"COUNT must be a whole number from 1 to {_MOST_COUNTED}, not {text!r:.80}")
    return int(text)


def _interval(parts: Mapping[str, str]) -> int:
    """Return how many steps lie between two periods; dateutil would walk on the spot for 0."""
    text = parts.get("INTERVAL", "1")
    if not text.isdecimal() or not 1 <= int(text[:10]) <= _MOST_STEPS:
        raise ConfigError(f"INTERVAL must be a whole number from 1 to {_MOST_STEPS}, not {text!r:.80}")
    return int(text)


def _step(parts: Mapping[str, str]) -> timedelta | int | None:
    if parts["FREQ"] == "MONTHLY":
        return _interval(parts)
    unit = _STEPS.get(parts["FREQ"])
    return None if unit is None else unit * _interval(parts)


def _put_off(times: rrule, start: datetime, step: timedelta | int | None, least: datetime) -> rrule:
    """Return the rule with its start put off to a little before *least*, by whole steps."""
    if step is None or least <= start:
        return times
    if isinstance(step, int):
        passed = (least.year - start.year) * 12 + least.month - start.month
        months = start.year * 12 + start.month - 1 + max(0, passed // step - 1) * step
        begin = start.replace(year=months // 12, month=months % 12 + 1, day=1)
        return times.replace(dtstart=max(begin, start))
    return times.replace(dtstart=start + max(0, (least - start) // step - 1) * step)


def _comes_true(times: rrule, start: datetime, step: timedelta | int | None) -> bool:
    """Return whether the rule has any time: looked for in the last years of the calendar, where a walk has an end."""
    span = _MONTH * step if isinstance(step, int) else step
    looked_at = _CYCLE if span is None else max(_CYCLE, min(_CYCLE_STEPS * span, _END - start))
    return next(iter(_put_off(times, start, step, _END - looked_at)), None) is not None
