"""What the declarative steps share: how they see a record, and the checks and words of their options."""

from collections.abc import Collection, Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Literal

from agora_core.spec.errors import ConfigError, did_you_mean
from agora_core.spec.records import Record

Missing = Literal["error", "ignore"]

MOST_INLINE = 8
"""Steps with more fields than this are called, so that there are only so many texts to compile."""

_PLAIN = (str, bytes, int, float, bool, Decimal, date, datetime, type(None))
_LONGEST = 80
_SHORT_INT = 1 << 256


def copied(record: Record) -> dict[Any, Any]:
    """Return the fields of *record* as a new dict, or raise a TypeError if it has none by name."""
    try:
        return {**record}
    except TypeError:
        if hasattr(record, "keys"):
            raise  # the record's own
        raise no_fields(record) from None


def no_fields(record: Record) -> TypeError:
    """Return the error of a *record* that is nothing like a dict."""
    return TypeError(f"a step needs a record with fields by name, as a dict has; this one is of type {_kind(record)}")


def no_field(name: str) -> LookupError:
    """Return the error of a record without the field *name*."""
    return LookupError(f"the record has no field {name!r}")


def shown(value: object) -> str:
    """Return *value* as an error shows it: on one line, short, and never failing."""
    if type(value) not in _PLAIN:
        return f"an object of type {_kind(value)}"
    if isinstance(value, str | bytes):
        return repr(value) if len(value) <= _LONGEST else f"{value[:_LONGEST]!r}…"
    if isinstance(value, int) and abs(value) >= _SHORT_INT:
        return f"an int of {value.bit_length()} bits"  # Python may refuse to print it
    return "null" if value is None else repr(value)


def checked_name(name: object, step: str) -> str:
    """Return *name* if it can be a field's."""
    if isinstance(name, str):
        return str.__str__(name)
    raise ConfigError(f"{step} takes the names of fields, which are text, not {shown(name)}")


def checked_fields(fields: object, step: str, example: str) -> dict[str, Any]:
    """Return *fields* if it is a table with at least one field in it."""
    if not isinstance(fields, Mapping):
        raise ConfigError(f"fields of {step} must be a table such as {example}, not {shown(fields)}")
    if not fields:
        raise ConfigError(f"{step} needs at least one of its fields, such as {example}")
    return {checked_name(name, step): value for name, value in fields.items()}


def checked_word(option: str, word: object, known: Collection[str], more: str = "") -> None:
    """Refuse a *word* that is none of those that *option* knows."""
    if isinstance(word, str) and word in known:
        return
    near = did_you_mean(word, known) if isinstance(word, str) else ""
    raise ConfigError(f"{option} must be {' or '.join(map(repr, known))}, not {shown(word)}{near}{more}")


def _kind(value: object) -> str:
    return repr(type(value).__name__)
