"""Whether two values are the very same, type by type: `1` is not `True`, `0.0` is not `-0.0`, `nan` is `nan`."""

import struct
from collections.abc import Callable
from dataclasses import fields
from datetime import datetime, time, timezone
from decimal import Decimal
from uuid import UUID
from zoneinfo import ZoneInfo

from agora_core.codec.shapes import shape_of
from agora_core.spec.records import Record
from agora_core.spec.typed_values import TypedValue

_MISSING = object()


def same(one: Record, other: Record) -> bool:
    """Return whether *one* and *other* have the same types and values at every level, dicts in the same order."""
    kind = type(one)
    if kind is not type(other):
        return False
    if kind in _JUDGES:
        return _JUDGES[kind](one, other)
    if kind in (set, frozenset):
        pairs = _matched(one, other)
    elif kind is dict:
        pairs = _in_turn([*one.keys(), *one.values()], [*other.keys(), *other.values()])
    elif kind in (list, tuple):
        pairs = _in_turn(one, other)
    else:
        pairs = _inside(one, other)
    if pairs is None:
        return False
    alike = True  # A loop and no generator: one call per level, as in the codec.
    for left, right in pairs:
        alike = alike and same(left, right)
    return alike


def _inside(one: Record, other: Record) -> list[tuple[Record, Record]] | None:
    """Return what two values of one class hold; None where they hold more than it declares, or are not the same."""
    if type(one) is TypedValue:
        return [(getattr(one, part.name), getattr(other, part.name)) for part in fields(TypedValue)]
    shape = shape_of(type(one))
    if shape is None:
        return [] if one == other else None
    if not (shape.is_whole(one) and shape.is_whole(other)):
        return None
    return list(zip(shape.apart(one), shape.apart(other), strict=True))


def _in_turn(one: list[Record], other: list[Record]) -> list[tuple[Record, Record]] | None:
    return list(zip(one, other, strict=True)) if len(one) == len(other) else None


def _matched(one: set[Record], other: set[Record]) -> list[tuple[Record, Record]] | None:
    """Return each item with its equal on the other side; what equals nothing, not even itself, by its text."""
    if len(one) != len(other):
        return None
    equals = {item: item for item in other}
    pairs, odd = [], []
    for item in one:
        equal = equals.pop(item, _MISSING)
        if equal is _MISSING:
            odd.append(item)
        else:
            pairs.append((item, equal))
    return [*pairs, *zip(sorted(odd, key=_order), sorted(equals, key=_order), strict=True)]


def _order(value: Record) -> str:
    """Return a text that is the same for the same value, whatever order its sets are in."""
    if type(value) is float:
        return struct.pack(">d", value).hex()
    if type(value) is tuple:
        return f"({','.join([_order(item) for item in value])})"
    if type(value) is frozenset:
        return f"{{{','.join(sorted([_order(item) for item in value]))}}}"
    return repr(value)


def _same_float(one: float, other: float) -> bool:
    return struct.pack(">d", one) == struct.pack(">d", other)


def _same_decimal(one: Decimal, other: Decimal) -> bool:
    return one.as_tuple() == other.as_tuple()


def _same_uuid(one: UUID, other: UUID) -> bool:
    return one.int == other.int and one.is_safe is other.is_safe


def _same_moment(one: datetime | time, other: datetime | time) -> bool:
    return (
        one.replace(tzinfo=None) == other.replace(tzinfo=None) and one.fold == other.fold and _zone(one) == _zone(other)
    )


def _zone(moment: datetime | time) -> object:
    zone = moment.tzinfo
    if type(zone) is ZoneInfo:
        return (ZoneInfo, zone.key)
    if type(zone) is timezone:
        return (timezone, zone.utcoffset(None), zone.tzname(None))
    return zone


_JUDGES: dict[type, Callable[..., bool]] = {
    float: _same_float,
    Decimal: _same_decimal,
    UUID: _same_uuid,
    datetime: _same_moment,
    time: _same_moment,
}
