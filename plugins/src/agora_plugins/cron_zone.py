"""Time zones: found by name, and seen as stretches of one offset."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo, available_timezones

from agora.plugins import ConfigError, did_you_mean

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND = timedelta(seconds=1)
_LONGEST_NAME = 255

REACH = 2 * 86_400
"""How far ahead one look goes: more than any offset, less than two changes of any zone lie apart (95 hours, once)."""
FIRST = (datetime(1, 1, 4, tzinfo=UTC) - _EPOCH) // _SECOND
LAST = (datetime(9999, 12, 28, tzinfo=UTC) - _EPOCH) // _SECOND
"""Where the calendar ends for us: one look beyond it, in any zone, is still a date."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """A time of one *offset*, in seconds, up to *end*, where the clocks *change* by that many seconds, or by none."""

    offset: int
    end: int
    change: int


def steady(zone: tzinfo, start: int) -> Stretch:
    """Return the stretch of one offset from *start* on; it is cut, without a change, after `REACH`."""
    offset, low, high = _offset(zone, start), start, start + REACH
    if _offset(zone, high) == offset:
        return Stretch(offset, high, 0)
    while high - low > 1:
        middle = (low + high) // 2
        if _offset(zone, middle) == offset:
            low = middle
        else:
            high = middle
    return Stretch(offset, high, _offset(zone, high) - offset)


def overlap(zone: tzinfo, moment: int) -> int:
    """Return by how much the clocks went back, when *moment* is in the second pass of what they repeat; else 0."""
    second_pass = _local(zone, moment)
    if not second_pass.fold:
        return 0
    first_pass = second_pass.replace(fold=0)
    return _seconds(first_pass.utcoffset()) - _seconds(second_pass.utcoffset())


def load_zone(name: object, source: str) -> tzinfo:
    """Return the zone of IANA's *name*; *source* is where the user wrote it."""
    if name == "UTC":
        return UTC  # also where there is no time zone database
    if not isinstance(name, str) or not name:
        raise ConfigError(f"{source} must be the name of a time zone, such as 'Europe/Berlin', not {name!r}")
    if len(name) > _LONGEST_NAME:
        raise ConfigError(f"{source}: no time zone has a name of {len(name)} characters")
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        # Directories, other files and paths out of the database are errors of many kinds, and one mistake.
        raise ConfigError(f"{source}: no time zone named {name!r}{_hint(name)}") from error


def _hint(name: str) -> str:
    known = {zone.casefold(): zone for zone in available_timezones()}
    if not known:
        return "; this machine has no time zone database: pip install tzdata"
    meant = known.get(name.casefold())
    guess = f"; did you mean {meant!r}?" if meant else did_you_mean(name, known.values())
    return guess or "; names are as in 'Europe/Berlin', and newer ones come with: pip install -U tzdata"


def _local(zone: tzinfo, moment: int) -> datetime:
    return (_EPOCH + timedelta(seconds=moment)).astimezone(zone)


def _offset(zone: tzinfo, moment: int) -> int:
    return _seconds(_local(zone, moment).utcoffset())


def _seconds(span: timedelta | None) -> int:
    assert span is not None, "an aware datetime has an offset"
    return span // _SECOND
