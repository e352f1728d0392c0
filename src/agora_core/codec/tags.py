"""The tags of the codec: `["$decimal", "1.50"]`, `["$tuple", 1, 2]`; a list that looks like one is `["$list", …]`.

A value of a class is `["$object", "shop:Order", "dataclass", {"id": 7}]`, one that a codec keeps
`["$coded", "npy/1", "numpy.ndarray", "k05VTVBZ…"]`.

A tag is a list, so that each level of a record is one level of JSON, and no dict is ever mistaken for a tag.
"""

import json
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable
from itertools import chain

from agora_core.codec.classes import class_name
from agora_core.codec.description import type_name
from agora_core.codec.objects import OBJECT
from agora_core.codec.scalars import READERS, WRITERS, NotCodableError, weight
from agora_core.codec.shapes import Parts, shape_of
from agora_core.spec.records import Record
from agora_core.spec.typed_values import CodedValue, TypedValue

MAX_DEPTH = 500
"""How deep a record may nest; Python's own limit is 1,000 calls, and every level here takes one."""

_PLAIN = (bool, type(None))
_TAG = "$"
_OBJECT, _CODED = OBJECT, "$coded"


def is_kept_by_itself(kind: type) -> bool:
    """Return whether values of *kind* have nothing inside, and are kept exactly."""
    return kind in WRITERS or kind in _PLAIN or kind is CodedValue


class Tagging:
    """Turns one record into a tree of JSON values; *room* bounds what is looked at, before anything is copied."""

    def __init__(self, room: int) -> None:
        self._limit = self._room = room
        self._path: set[int] = set()
        self.classes: dict[type, None] = {}
        """Those of which values were met."""

    def of(self, value: Record, depth: int = 0) -> object:
        """Return *value* as JSON values; raise `NotCodableError` when that cannot be undone."""
        kind = type(value)
        if kind in _PLAIN:
            self._spend(4)
            return value
        if kind in WRITERS:
            self._spend(weight(value))
            return WRITERS[kind](value)
        if kind not in _CONTAINERS:
            return self._coded(value) if kind is CodedValue else self._object(value, depth)
        self._enter(value, 2 * len(value) + 2, depth)
        items = []  # A loop and no comprehension: on Python 3.11 that would be a second call per level.
        for part in _parts(value):
            items.append(self.of(part, depth + 1))  # noqa: PERF401
        self._path.discard(id(value))
        return _CONTAINERS[kind](value, items)

    def _object(self, value: Record, depth: int) -> object:
        """Return a value of a class that declares what is in it; the class itself is proved when it comes back."""
        if type(value) is TypedValue:
            name, kind, parts = value.type, value.kind, Parts(value.value, dict(value.beside))
        else:
            shape = shape_of(type(value))
            if shape is None:
                raise NotCodableError(f"{type_name(value)} is no type that can be kept exactly")
            name, kind, parts = class_name(type(value)), shape.kind, shape.apart(value)
            self.classes[type(value)] = None
        self._enter(value, len(name) + 20, depth)
        node = [_OBJECT, WRITERS[str](name), WRITERS[str](kind), self.of(parts.value, depth + 1)]
        if parts.beside:
            node.append(self.of(parts.beside, depth + 1))
        self._path.discard(id(value))
        return node

    def _coded(self, value: CodedValue) -> object:
        self._spend(len(value.payload) * 4 // 3 + len(value.codec) + len(value.type))
        payload = b64encode(value.payload).decode("ascii")
        return [_CODED, WRITERS[str](value.codec), WRITERS[str](value.type), payload]

    def _enter(self, value: Record, size: int, depth: int) -> None:
        if depth >= MAX_DEPTH:
            raise NotCodableError(f"nested deeper than {MAX_DEPTH} levels")
        if id(value) in self._path:
            raise NotCodableError("it contains itself")
        self._path.add(id(value))
        self._spend(size)

    def _spend(self, size: int) -> None:
        self._room -= size
        if self._room < 0:
            raise NotCodableError(f"larger than {self._limit} bytes")


def untagged(node: object) -> Record:
    """Return the record that a tree of JSON values stands for."""
    if type(node) is dict:
        record = {}
        for key, item in node.items():
            record[key] = untagged(item)
        return record
    if type(node) is not list:
        return node
    tag = node[0] if node and type(node[0]) is str and node[0].startswith(_TAG) else None
    if tag in READERS:
        return READERS[tag](*node[1:])
    if tag in _OBJECTS:
        return _OBJECTS[tag](*node[1:])
    if tag is not None and tag not in _BUILDERS:
        raise NotCodableError(f"the tag {tag[:40]!r} is not known")
    items = []
    for item in node[1:] if tag else node:
        items.append(untagged(item))  # noqa: PERF401  # see Tagging.of
    return _BUILDERS[tag](items) if tag else items


def _typed(name: object, kind: object, value: object, beside: object = None) -> TypedValue:
    own, more = untagged(value), {} if beside is None else untagged(beside)
    if not isinstance(more, dict):
        raise NotCodableError("what stands beside the fields of a value has no names")
    return TypedValue(type=_word(name), kind=_word(kind), value=own, beside=more)


def _coded(name: object, kind: object, payload: str) -> CodedValue:
    return CodedValue(codec=_word(name), type=_word(kind), payload=b64decode(payload, validate=True))


def _word(node: object) -> str:
    word = untagged(node)
    if not isinstance(word, str):
        raise NotCodableError("the name of a class or a codec is no text")
    return word


def _parts(value: Record) -> Iterable[Record]:
    """Return what is inside a container; keys and values in turn for a dict that JSON has no object for."""
    if type(value) is not dict:
        return value  # type: ignore[no-any-return]  # a list, tuple, set or frozenset
    return value.values() if _has_plain_keys(value) else chain.from_iterable(value.items())


def _has_plain_keys(value: dict[object, object]) -> bool:
    return all(type(key) is str and type(WRITERS[str](key)) is str for key in value)


def _dict(value: dict[object, object], items: list[object]) -> object:
    return dict(zip(value, items, strict=True)) if _has_plain_keys(value) else ["$dict", *items]


def _list(value: list[object], items: list[object]) -> object:
    looks_like_a_tag = bool(value) and type(value[0]) is str and value[0].startswith(_TAG)
    # The first item may also *become* a list that is a tag; that one is inside a list, and needs no escape.
    return ["$list", *items] if looks_like_a_tag else items


def _tuple(value: tuple[object, ...], items: list[object]) -> object:
    return ["$tuple", *items]


def _set(value: set[object], items: list[object]) -> object:
    return ["$set", *sorted(items, key=json.dumps)]


def _frozenset(value: frozenset[object], items: list[object]) -> object:
    return ["$frozenset", *sorted(items, key=json.dumps)]


def _pairs(items: list[object]) -> dict[object, object]:
    return dict(zip(items[::2], items[1::2], strict=True))


_CONTAINERS: dict[type, Callable[..., object]] = {
    dict: _dict,
    list: _list,
    tuple: _tuple,
    set: _set,
    frozenset: _frozenset,
}
_BUILDERS: dict[str, Callable[[list[object]], object]] = {
    "$dict": _pairs,
    "$list": list,
    "$tuple": tuple,
    "$set": set,
    "$frozenset": frozenset,
}
_OBJECTS: dict[str, Callable[..., Record]] = {_OBJECT: _typed, _CODED: _coded}
