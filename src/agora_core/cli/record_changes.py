"""What differs between two records, place by place, in the words of `--where`: `record.properties.rms`."""

import json
import re
from collections.abc import Iterator
from typing import NamedTuple, TypeGuard

NOTHING = object()
"""In place of a value where there is none."""

_PLAIN_KEY = re.compile(r"[\w$@-]+", re.ASCII)
_TAG, _OBJECT = "$", "$object"
_INSIDE = 3
"""Where the fields stand in the list that is a value of a class."""


class Change(NamedTuple):
    """A place, and the JSON values that are there before and after."""

    place: str
    before: object
    after: object


def changes(before: object, after: object, place: str = "record") -> Iterator[Change]:
    """Yield what differs between two records as JSON values, each as deep inside as it can be told."""
    if isinstance(before, dict) and isinstance(after, dict):
        for key in {**before, **after}:
            yield from changes(before.get(key, NOTHING), after.get(key, NOTHING), place + _step(key))
    elif _is_plain_list(before) and _is_plain_list(after):
        for index in range(max(len(before), len(after))):
            yield from changes(_at(before, index), _at(after, index), f"{place}[{index}]")
    elif _is_object(before) and _is_object(after) and _outside(before) == _outside(after):
        yield from changes(before[_INSIDE], after[_INSIDE], place)
    elif _text(before) != _text(after):
        yield Change(place, before, after)


def _is_plain_list(value: object) -> TypeGuard[list[object]]:
    """Whether it is a list, and not a tag: what has one is shown whole."""
    return isinstance(value, list) and not (value and isinstance(value[0], str) and value[0].startswith(_TAG))


def _is_object(value: object) -> TypeGuard[list[object]]:
    return isinstance(value, list) and value[:1] == [_OBJECT] and len(value) > _INSIDE


def _outside(value: list[object]) -> list[object]:
    """Return the class of a value, and what it keeps beside its fields."""
    return [*value[:_INSIDE], *value[_INSIDE + 1 :]]


def _at(values: list[object], index: int) -> object:
    return values[index] if index < len(values) else NOTHING


def _step(key: str) -> str:
    return f".{key}" if _PLAIN_KEY.fullmatch(key) else f"[{json.dumps(key)}]"


def _text(value: object) -> str:
    """Return a text that tells apart what `==` does not: 1, 1.0 and true."""
    return "" if value is NOTHING else json.dumps(value)
