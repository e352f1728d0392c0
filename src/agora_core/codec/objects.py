"""The quick way for records of declared classes: each part is proved where it is taken, and the whole by its bytes.

What it writes is what the long way writes. Whatever it is not sure of is left to that.
"""

import marshal
from collections.abc import Callable
from typing import Any

import msgspec

from agora_core.codec.classes import class_name
from agora_core.codec.plain import EXACT_IN_JSON, read_json
from agora_core.codec.sameness import same
from agora_core.codec.scalars import READERS, WRITERS, weight
from agora_core.codec.shapes import Parts, Shape, shape_of
from agora_core.spec.records import Record
from agora_core.spec.typed_values import CodedValue, TypedValue

OBJECT = "$object"

_DEPTH = 20
_BINARY = 2
"""The last version of `marshal` that writes a value in one way only, whoever else refers to it."""

_encode = msgspec.json.Encoder().encode


class _UnsureError(Exception):
    """The long way must be gone."""


def object_json(record: Record, max_bytes: int) -> bytes | None:
    """Return *record* as JSON that is proved to come back exactly, or None where the long way must be gone."""
    if shape_of(type(record)) is None and type(record) not in (dict, list):
        return None
    try:
        tree: Any = _Quickly(max_bytes).of(record, _DEPTH)
        payload = _encode(tree)
        # Each tag was read back when it was made; these bytes tell that the tree around them is read as it was written.
        if len(payload) <= max_bytes and marshal.dumps(read_json(payload), _BINARY) == marshal.dumps(tree, _BINARY):
            return payload
    # Not UTF-8, changed by another thread meanwhile, a class that raises: the long way has an answer to each.
    except Exception:  # noqa: BLE001, S110
        pass
    return None


def comes_back(value: Record, shape: Shape, parts: Parts) -> bool:
    """Return whether the class makes of its *parts* a value with the very same parts, and nothing else is in it."""
    if not shape.is_whole(value):
        return False
    if shape.is_sure(parts):
        return True
    again = shape.together(parts)
    if not shape.is_whole(again):
        return False
    other = shape.apart(again)
    if type(parts.value) is not dict or type(other.value) is not dict:
        return again is value or (type(again) is type(value) and same(again, value))
    if len(other.value) != len(parts.value) or parts.beside != other.beside:
        return False
    pairs = zip(parts.value.items(), other.value.items(), strict=True)
    return all(name == other_name and one is two for (name, one), (other_name, two) in pairs)


class _Quickly:
    """Makes the tree of one record; *room* bounds what is looked at."""

    def __init__(self, room: int) -> None:
        self._room = room

    def of(self, value: Record, depth: int) -> object:
        kind = type(value)
        if kind is str:
            self._room -= len(value)
            return value
        if value is None or kind is bool or kind is float:
            return value
        if kind is int and -EXACT_IN_JSON <= value <= EXACT_IN_JSON:
            return value
        if depth == 0 or self._room < 0:
            raise _UnsureError
        if kind is dict:
            return self._dict(value, depth - 1)
        if kind is list:
            return self._list(value, depth - 1)
        writer = WRITERS.get(kind)
        return self._object(value, depth - 1) if writer is None else self._scalar(value, writer)

    def _dict(self, value: dict[Record, Record], depth: int) -> object:
        self._room -= 24 * len(value)
        tree = {}
        for key, item in value.items():
            if type(key) is not str:
                raise _UnsureError
            tree[key] = self.of(item, depth)
        return tree

    def _list(self, value: list[Record], depth: int) -> object:
        if value and type(value[0]) is str and value[0].startswith("$"):
            raise _UnsureError  # it would look like a tag
        self._room -= 24 * len(value)
        return [self.of(item, depth) for item in value]

    def _object(self, value: Record, depth: int) -> object:
        if type(value) is TypedValue:
            name, kind, parts = value.type, value.kind, Parts(value.value, dict(value.beside))
        else:
            shape = shape_of(type(value))
            if shape is None or type(value) is CodedValue:
                raise _UnsureError
            name, kind, parts = class_name(type(value)), shape.kind, shape.apart(value)
            if not comes_back(value, shape, parts):
                raise _UnsureError
        node = [OBJECT, name, kind, self.of(parts.value, depth)]
        if parts.beside:
            node.append(self.of(parts.beside, depth))
        return node

    def _scalar(self, value: Record, writer: Callable[..., object]) -> object:
        self._room -= weight(value)
        node = writer(value)
        if type(node) is list and not same(READERS[node[0]](*node[1:]), value):
            raise _UnsureError
        return node
