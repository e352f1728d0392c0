"""Values as one of the few types that a cell of a table can hold."""

from datetime import date, time
from enum import Enum

import msgspec

from agora_core.builtin.json_text import REFUSALS, as_plain, json_text

Scalar = str | int | float | bool | bytes | None

_SCALARS = frozenset({str, int, float, bool, bytes, type(None)})


def scalar(value: object) -> Scalar:
    """Return *value* as a scalar; raise TypeError, ValueError and the like when it has none.

    Moments become ISO 8601, decimals and UUIDs text; lists, dicts and objects with fields become JSON.
    """
    if type(value) in _SCALARS:
        return value  # type: ignore[return-value]  # its type was looked up
    if isinstance(value, Enum):
        return scalar(value.value)
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value)
    plain = msgspec.to_builtins(value, enc_hook=as_plain, str_keys=True)
    return plain if type(plain) in _SCALARS else json_text(value)


def scalar_of(name: str, value: object) -> Scalar:
    """Return the field *name* as a scalar, or raise TypeError that says which field has none."""
    try:
        return scalar(value)
    except REFUSALS as exc:
        raise TypeError(f"field {name!r}: {exc}") from exc
