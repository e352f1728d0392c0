"""Puts constants into records: `steps.set(country="NL")`."""

from collections.abc import Callable, Iterator, Mapping
from datetime import date, time, timedelta, tzinfo
from decimal import Decimal
from enum import Enum
from functools import partial
from typing import Any
from uuid import UUID

from agora_core.builtin.step_records import checked_fields, copied, shown
from agora_core.spec.errors import ConfigError
from agora_core.spec.inline import Inline
from agora_core.spec.records import Context, Record

_SHARED = (str, bytes, int, float, complex, Decimal, date, time, timedelta, tzinfo, UUID, Enum, type(None))
_COPIED = (list, dict, set, bytearray)
_FEW = 3
"""So many fields are quicker set one by one than from a dict."""


class Set:
    """Sets *fields* to values that are the same for every record; lists, dicts and sets are copied for each."""

    def __init__(self, fields: Mapping[str, object], *, name: str = "set") -> None:
        given = checked_fields(fields, "set", '{ country = "NL" }')
        for field, value in given.items():
            _check(field, value)
        self._fields: dict[str, object] = _owned(given)
        copies = any(isinstance(part, _COPIED) for value in given.values() for part in _parts(value))
        self._copy: Callable[[], dict[str, object]] | None = partial(_owned, self._fields) if copies else None
        self.name = name

    def process(self, record: Record, ctx: Context | None = None) -> dict[str, object]:
        """Return *record* with the fields."""
        return {**copied(record), **(self._copy() if self._copy else self._fields)}

    def inline(self, *, fresh: bool) -> Inline:
        """Return the same as statements."""
        target = "@in" if fresh else "@out"
        copy = () if fresh else ("try:", "    @out = {**@in}", "except Exception:", "    @out = @0(@in)")
        first = 0 if fresh else 1
        constants = () if fresh else (copied,)
        if self._copy:
            return Inline((*copy, f"{target}.update(@{first}())"), (*constants, self._copy))
        if len(self._fields) > _FEW:
            return Inline((*copy, f"{target}.update(@{first})"), (*constants, self._fields))
        each = (f"{target}[@{place}] = @{place + 1}" for place in range(first, first + 2 * len(self._fields), 2))
        return Inline((*copy, *each), (*constants, *(part for item in self._fields.items() for part in item)))

    def named(self, name: str) -> "Set":
        """Return the same step with another *name* for its stage."""
        return Set(self._fields, name=name)

    def __repr__(self) -> str:
        return f"Set({self._fields!r})"


def _owned(value: Any) -> Any:
    """Return *value* with no part that somebody could change from elsewhere, and text as just that."""
    if isinstance(value, str) and not isinstance(value, Enum):
        return str.__str__(value)  # what came from the environment is of a class of its own
    if isinstance(value, dict):
        return {_owned(key): _owned(one) for key, one in value.items()}
    for kind in (list, set, tuple, frozenset):
        if isinstance(value, kind):
            return kind(map(_owned, value))
    return bytearray(value) if isinstance(value, bytearray) else value


def _parts(value: object) -> Iterator[object]:
    """Yield *value* and all that is in it."""
    yield value
    if isinstance(value, dict):
        value = [*value, *value.values()]
    if isinstance(value, list | set | tuple | frozenset):
        for one in value:
            yield from _parts(one)


def _check(field: str, value: object) -> None:
    """Refuse what can be neither shared nor copied."""
    for part in _parts(value):
        if not isinstance(part, (*_SHARED, *_COPIED, tuple, frozenset)):
            hint = "; what differs from record to record is made by .map(function)" if callable(part) else ""
            raise ConfigError(f"fields of set: {field!r} must be a constant, not {shown(part)}{hint}")
