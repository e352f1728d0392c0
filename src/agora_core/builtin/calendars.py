"""The built-in calendars: days of a list or a file, and days of the week."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path

from agora_core.spec.errors import ConfigError

_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_RANGE = ".."
_LARGEST_FILE = 1024 * 1024

Span = tuple[date, date]
"""The first day and the last."""


@dataclass(frozen=True, slots=True)
class Dates:
    """The *days*, and those in the file at *path*: a day or a range of days a line, `#` before what is no day.

    A day is a date or `2026-12-24`, a range `2026-12-24..2027-01-06` with both its ends.
    """

    days: Sequence[date | str] = ()
    path: str | None = None
    _spans: tuple[Span, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if isinstance(self.days, str) or not isinstance(self.days, Sequence):
            raise ConfigError(f"days must be a list of dates such as '2026-12-24', not {self.days!r}")
        spans = [read_span("days", one) for one in self.days]
        if self.path is not None:
            spans += _spans_of(Path(self.path))
        if not spans:
            raise ConfigError("a calendar of dates needs some: give days, or the path of a file with one a line")
        object.__setattr__(self, "_spans", merged(spans))

    def excludes(self, day: date) -> bool:
        """Return whether *day* is one of them."""
        return any(first <= day <= last for first, last in self._spans)


@dataclass(frozen=True, slots=True)
class Weekdays:
    """Some *days* of every week, by their names: `sat`, `Sunday`."""

    days: Sequence[str]
    _numbers: frozenset[int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if isinstance(self.days, str) or not isinstance(self.days, Sequence) or not self.days:
            raise ConfigError(f"days must be a list of days of the week such as ['sat', 'sun'], not {self.days!r}")
        object.__setattr__(self, "_numbers", frozenset(_weekday(one) for one in self.days))

    def excludes(self, day: date) -> bool:
        """Return whether *day* is one of them."""
        return day.weekday() in self._numbers


def read_span(name: str, value: object) -> Span:
    """Return the days from the first to the last that *value*, of the option *name*, says."""
    if isinstance(value, date) and not isinstance(value, datetime):
        return value, value
    try:
        if not isinstance(value, str):
            raise TypeError
        first, _, last = value.partition(_RANGE)
        span = date.fromisoformat(first.strip()), date.fromisoformat((last or first).strip())
    except (TypeError, ValueError):
        raise ConfigError(
            f"{name}: {value!r} is no date such as '2026-12-24', nor a range such as '2026-12-24..2027-01-06'"
        ) from None
    if span[0] > span[1]:
        raise ConfigError(f"{name}: the range {value!r} ends before it begins")
    return span


def merged(spans: Sequence[Span]) -> tuple[Span, ...]:
    """Return *spans* in order, those that overlap or touch as one."""
    joined: list[Span] = []
    for first, last in sorted(spans):
        if joined and first.toordinal() <= joined[-1][1].toordinal() + 1:
            joined[-1] = joined[-1][0], max(last, joined[-1][1])
        else:
            joined.append((first, last))
    return tuple(joined)


def _spans_of(path: Path) -> list[Span]:
    try:
        with path.open("rb") as file:
            raw = file.read(_LARGEST_FILE + 1)
        text = raw.decode()
    except (OSError, ValueError) as error:
        raise ConfigError(f"path: {str(path)!r} cannot be read: {getattr(error, 'strerror', None) or error}") from error
    if len(raw) > _LARGEST_FILE:
        raise ConfigError(f"path: {str(path)!r} is larger than {_LARGEST_FILE} bytes")
    days = [(number, line.partition("#")[0].strip()) for number, line in enumerate(text.splitlines(), start=1)]
    return [read_span(f"{path}:{number}", day) for number, day in days if day]


def _weekday(name: object) -> int:
    word = name.strip().lower() if isinstance(name, str) else ""
    for number, short in enumerate(_WEEKDAYS):
        if len(word) >= len(short) and _LONG[number].startswith(word):
            return number
    raise ConfigError(f"days: {name!r} is no day of the week; they are {', '.join(_WEEKDAYS)}")


_LONG = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
