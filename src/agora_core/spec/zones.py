"""Time zones: found by name, and seen as stretches of one offset."""

import os
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import ClassVar, Self
from zoneinfo import ZoneInfo, available_timezones

from agora_core.spec.errors import ConfigError, did_you_mean

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND = timedelta(seconds=1)
_DAY = timedelta(days=1)
_LONGEST_NAME = 255


@dataclass(frozen=True, slots=True)
class Stretch:
    """A time of one *offset*, in seconds, up to *end*, where the clocks *change* by that many seconds, or by none."""

    offset: int
    end: int
    change: int


@dataclass(frozen=True, slots=True)
class Zone:
    """A time zone and its IANA *name*; moments are whole seconds since 1970 where they are numbers."""

    REACH: ClassVar = 2 * 86_400
    """How far ahead one look goes: more than any offset, less than two changes of any zone lie apart (95 h, once)."""
    FIRST: ClassVar = (datetime(1, 1, 4, tzinfo=UTC) - _EPOCH) // _SECOND
    LAST: ClassVar = (datetime(9999, 12, 28, tzinfo=UTC) - _EPOCH) // _SECOND
    """Where the calendar ends for us: one look beyond it, in any zone, is still a date."""

    name: str
    tz: tzinfo = field(repr=False, compare=False)

    @classmethod
    def named(cls, name: object = None, source: str = "timezone") -> Self:
        """Return the zone of that *name*, where None means what `AGORA_TIMEZONE` names, else UTC.

        *source* is where the user wrote it; what is no zone is a `ConfigError`.
        """
        if name is None:
            source, name = "AGORA_TIMEZONE", os.environ.get("AGORA_TIMEZONE") or "UTC"
        tz = _load(name, source)
        return cls(str(name), tz)

    def steady(self, start: int) -> Stretch:
        """Return the stretch of one offset from *start* on; it is cut, without a change, after `REACH`."""
        offset, low, high = self.offset(start), start, start + self.REACH
        if self.offset(high) == offset:
            return Stretch(offset, high, 0)
        while high - low > 1:
            middle = (low + high) // 2
            if self.offset(middle) == offset:
                low = middle
            else:
                high = middle
        return Stretch(offset, high, self.offset(high) - offset)

    def overlap(self, moment: int) -> int:
        """Return by how much the clocks went back, when *moment* is in the second pass of what they repeat; else 0."""
        second_pass = (_EPOCH + timedelta(seconds=moment)).astimezone(self.tz)
        if not second_pass.fold:
            return 0
        return _seconds(second_pass.replace(fold=0).utcoffset()) - _seconds(second_pass.utcoffset())

    def offset(self, moment: int) -> int:
        """Return how far its clocks are ahead of UTC then, in seconds."""
        return _seconds((_EPOCH + timedelta(seconds=moment)).astimezone(self.tz).utcoffset())

    def aware(self, local: datetime) -> datetime:
        """Return the UTC moment of *local*: an aware one is itself, a naive one is read in this zone.

        What its clocks skip comes as far behind the gap as it is in it, and of what they repeat the first is meant.
        """
        return (local if local.tzinfo is not None else local.replace(tzinfo=self.tz)).astimezone(UTC)

    def day(self, moment: datetime) -> date:
        """Return the day that its calendar shows at *moment*."""
        return moment.astimezone(self.tz).date()

    def day_after(self, moment: datetime) -> datetime:
        """Return the first moment after *moment* on the next day of its calendar, in UTC."""
        midnight = datetime.combine(self.day(moment) + _DAY, time(), self.tz)
        for fold in (0, 1):  # clocks may go back over midnight, and the day begin twice
            begin = midnight.replace(fold=fold).astimezone(UTC)
            skipped = begin.astimezone(self.tz).replace(tzinfo=None) - midnight.replace(tzinfo=None)
            if fold == 0 and skipped:  # midnight is in a gap: the day begins where that ends
                begin = _EPOCH + timedelta(seconds=self.steady((begin - abs(skipped) - _EPOCH) // _SECOND).end)
            if begin > moment:
                break
        return begin


def _load(name: object, source: str) -> tzinfo:
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


def _seconds(span: timedelta | None) -> int:
    assert span is not None, "an aware datetime has an offset"
    return span // _SECOND
