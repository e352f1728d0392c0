"""The types that fields can be cast to, and how a value becomes one of them or raises one of `REFUSALS`."""

from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from operator import index
from typing import NamedTuple
from uuid import UUID

REFUSALS = (ValueError, TypeError, ArithmeticError, LookupError)

_BOOLS = {
    word: value
    for value, words in ((True, "true yes on t y 1"), (False, "false no off f n 0"))
    for word in words.split()
}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LONGEST_INT = 4300
"""Python reads no more digits from text either."""


class CastType(NamedTuple):
    """A type as a cast knows it."""

    words: str
    """What a value is not, in an error."""
    convert: Callable[[object], object]
    """Makes a value of any kind one of this type."""
    read: Callable[[str], object]
    """Does the same for a text without `_`, where it can, and then quicker."""
    kind: type | None = None
    """The class whose values stay as they are."""


def _int(value: object) -> int:
    if isinstance(value, str):
        return int(_number(value))
    if not isinstance(value, float | Decimal):
        return int(index(value))  # type: ignore[arg-type]  # a TypeError says so
    if isinstance(value, Decimal) and value.adjusted() >= _LONGEST_INT:
        raise OverflowError
    whole = int(value)
    if whole != value:
        raise ValueError
    return whole


def _float(value: object) -> float:
    if isinstance(value, str):
        return float(_number(value))
    if isinstance(value, bytes | bytearray):
        raise TypeError
    return float(value)  # type: ignore[arg-type]  # a TypeError says so


def _decimal(value: object) -> Decimal:
    if isinstance(value, Decimal):
        return Decimal(value)
    if isinstance(value, str):
        return Decimal(_number(value))
    if isinstance(value, float):
        return Decimal(float.__repr__(value))  # 0.1 is meant, not the binary fraction beside it
    return Decimal(index(value))  # type: ignore[arg-type]  # a TypeError says so


def _str(value: object) -> str:
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return (int if isinstance(value, int) else float).__repr__(value)
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, bytes | bytearray):
        return value.decode()
    if isinstance(value, Decimal | UUID):
        return str(value)
    raise TypeError


def _bool(value: object) -> bool:
    if isinstance(value, str):
        return _BOOLS[value.strip().lower()]
    if isinstance(value, int | float | Decimal) and value in (0, 1):
        return value == 1
    raise TypeError


def _date(value: object) -> date:
    if isinstance(value, datetime):
        return value.date()
    if isinstance(value, date):
        return value
    text = _text(value)
    try:
        return date.fromisoformat(text)
    except ValueError:
        return datetime.fromisoformat(text).date()


def _datetime(value: object) -> datetime:
    if isinstance(value, datetime):
        return value
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day)  # noqa: DTZ001  # a date has no zone
    return datetime.fromisoformat(_text(value))


def _unix(value: object) -> datetime:
    return _since_the_epoch(value, timedelta(seconds=1))


def _unix_ms(value: object) -> datetime:
    return _since_the_epoch(value, timedelta(milliseconds=1))


def _since_the_epoch(value: object, unit: timedelta) -> datetime:
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise ValueError
        return value
    if isinstance(value, bool):
        raise TypeError
    if isinstance(value, str):
        number = _number(value)
        value = int(number) if number.strip().lstrip("+-").isdecimal() else float(number)
    return _EPOCH + unit * (value if isinstance(value, int) else _float(value))


def _number(text: str) -> str:
    """Return *text*, unless it is a number to Python alone: `1_000`."""
    if "_" in text:
        raise ValueError
    return text


def _text(value: object) -> str:
    if isinstance(value, str):
        return value.strip()
    raise TypeError


TYPES = {
    "int": CastType("an int", _int, int, int),
    "float": CastType("a float", _float, float, float),
    "str": CastType("a str", _str, str, str),
    "bool": CastType("a bool", _bool, _BOOLS.__getitem__, bool),
    "decimal": CastType("a decimal", _decimal, Decimal, Decimal),
    "date": CastType("a date", _date, date.fromisoformat, date),
    "datetime": CastType("a datetime", _datetime, datetime.fromisoformat, datetime),
    "unix": CastType("a unix time", _unix, _unix),
    "unix_ms": CastType("a unix time in milliseconds", _unix_ms, _unix_ms),
}

CLASSES: dict[object, str] = {name.kind: word for word, name in TYPES.items() if name.kind}
"""The names of the types that Python has as classes."""
