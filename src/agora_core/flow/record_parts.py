"""What is inside a value of a record, whatever the value is: the entries of a dict, items, the fields of an object."""

from collections.abc import Hashable, Iterator, Mapping, Sequence
from copy import copy
from datetime import date, time, timedelta
from decimal import Decimal
from enum import Enum
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any
from uuid import UUID

import msgspec

from agora_core.spec.records import Record

Changes = Mapping[Hashable, Record]
"""New values by what `parts_of` calls their places."""

_WHOLE = (
    str, bytes, bytearray, int, float, complex, type(None), date, time, timedelta, Decimal, UUID, Enum, type,
    FunctionType, MethodType, BuiltinFunctionType, ModuleType,
)  # fmt: skip
_EXTRA = "__pydantic_extra__"


def parts_of(value: Record) -> dict[Any, Record] | None:
    """Return what *value* holds, by keys, numbers or names; None where nothing can be told apart in it."""
    if type(value) is dict:
        return value
    if isinstance(value, _WHOLE):
        return None
    if isinstance(value, Mapping):
        return dict(value.items())
    if _is_named_tuple(value):
        return dict(zip(value._fields, value, strict=True))
    if isinstance(value, Sequence | set | frozenset):
        return dict(enumerate(value))
    names = list(_names_of(value))
    return {name: getattr(value, name) for name in names if hasattr(value, name)} | _extra_of(value) if names else None


def is_row(value: Record) -> bool:
    """Return whether *value* holds items that are alike, rather than fields that have names."""
    return isinstance(value, Sequence | set | frozenset) and not _is_named_tuple(value)


def with_parts(value: Record, changes: Changes) -> Record:
    """Return a copy of *value* with *changes*, made without its constructor, which may refuse them; share the rest."""
    if type(value) is dict:
        return {**value, **changes}
    kind = type(value)
    if isinstance(value, tuple | set | frozenset):
        items = [changes.get(place, item) for place, item in (parts_of(value) or {}).items()]
        return tuple.__new__(kind, items) if isinstance(value, tuple) else kind(items)
    changed = copy(value)
    if changed is value:
        raise TypeError(f"a {type(value).__name__} has no copies")
    if isinstance(value, Mapping | Sequence):
        for place, part in changes.items():
            changed[place] = part  # of what refuses that there is no copy with changes
        return changed
    extra = _extra_of(value)
    if extra:
        object.__setattr__(changed, _EXTRA, extra | {name: changes[name] for name in extra if name in changes})
    for name, part in changes.items():
        if name not in extra:
            _set(changed, str(name), part)
    return changed


def _is_named_tuple(value: Record) -> bool:
    return isinstance(value, tuple) and isinstance(getattr(value, "_fields", None), tuple)


def _set(value: Record, name: str, part: Record) -> None:
    if isinstance(value, msgspec.Struct):
        msgspec.structs.force_setattr(value, name, part)
    else:
        object.__setattr__(value, name, part)  # frozen or not


def _names_of(value: Record) -> Iterator[str]:
    """Yield the names of what lies in the object *value* itself: no property, nothing of its class."""
    if isinstance(value, msgspec.Struct):
        yield from value.__struct_fields__
        return
    yield from getattr(value, "__dict__", ())
    for base in type(value).__mro__:
        slots = vars(base).get("__slots__", ())
        for name in [slots] if isinstance(slots, str) else slots:
            if not name.startswith("__"):
                yield name


def _extra_of(value: Record) -> dict[str, Record]:
    """Return the fields of a pydantic model that it does not declare."""
    extra = getattr(value, _EXTRA, None) if hasattr(type(value), "__pydantic_fields__") else None
    return extra if isinstance(extra, dict) else {}
