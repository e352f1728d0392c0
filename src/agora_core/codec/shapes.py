"""Classes that declare what is in their values: how such values are taken apart, and put together again.

No constructor of the user's is called, but a Struct's: what a class checks or counts when one of its values is made was
done when it was made first, and should not be done again because a record died.
"""

from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields
from enum import Enum, Flag
from functools import lru_cache
from types import MemberDescriptorType
from typing import Any, NamedTuple, Protocol

import msgspec

from agora_core.codec.classes import (
    class_name,
    declared,
    has_attribute,
    has_no_builtin,
    has_only,
    is_computed,
    mro_of,
    slots_of,
)
from agora_core.codec.scalars import NotCodableError
from agora_core.spec.records import Record

Defaults = Mapping[str, Callable[[], Record]]


class Parts(NamedTuple):
    """What is inside a value."""

    value: Record
    """Its fields by name, or the value of an enumeration's member."""
    beside: dict[str, Record]
    """What it keeps beside them, by the words of its kind; mostly nothing."""


class Shape(Protocol):
    """How the values of one class are built."""

    @property
    def kind(self) -> str:
        """What declares its fields: `dataclass`, `attrs`, `struct`, `pydantic`, `namedtuple` or `enum`."""

    def apart(self, value: Record) -> Parts:
        """Return what is in *value*."""

    def together(self, parts: Parts) -> Record:
        """Return the value that *parts* were taken of; raise `NotCodableError` where the class has changed since."""

    def is_whole(self, value: Record) -> bool:
        """Return whether nothing is in *value* but what the class declares."""

    def is_sure(self, parts: Parts) -> bool:
        """Return whether it is known without a try that the class makes a value with these very *parts* of them."""


def shape_of(kind: type) -> Shape | None:
    """Return how values of the class *kind* are built, or None where it declares nothing."""
    return _shape_of(kind)


@lru_cache(maxsize=1024)
def _shape_of(kind: type) -> Shape | None:
    for is_one, make in _KINDS:
        if is_one(kind):
            return make(kind)
    return None


class _Fields:
    """A dataclass or an attrs class: what lies in the attributes of the fields' names."""

    def __init__(self, kind: str, owner: type, names: tuple[str, ...], defaults: Defaults) -> None:
        self.kind = kind
        self._owner = owner
        self._names = frozenset(names)
        self._ordered = names
        self._defaults = defaults
        slots = {*slots_of(owner)}
        self._others = tuple(slots - self._names)
        has_place = type.__dict__["__dictoffset__"].__get__(owner) != 0 or self._names <= slots
        self._is_simple = has_place and not any(is_computed(declared(owner, name)) for name in names)

    def apart(self, value: Record) -> Parts:
        found = {}
        for name in self._ordered:
            try:
                found[name] = object.__getattribute__(value, name)
            except AttributeError:  # never set, or deleted
                continue
        return Parts(found, {})

    def together(self, parts: Parts) -> Record:
        value: Record = object.__new__(self._owner)
        for name, part in _complete(self._owner, self._ordered, self._defaults, parts.value).items():
            object.__setattr__(value, name, part)
        return value

    def is_whole(self, value: Record) -> bool:
        return has_only(value, self._names) and not any(has_attribute(value, name) for name in self._others)

    def is_sure(self, parts: Parts) -> bool:
        return self._is_simple and len(parts.value) == len(self._ordered)


class _Tuple:
    kind = "namedtuple"

    def __init__(self, owner: type) -> None:
        self._owner = owner
        self._names: tuple[str, ...] = declared(owner, "_fields")
        given: dict[str, Record] = declared(owner, "_field_defaults", {})
        self._defaults = {name: _constant(value) for name, value in given.items()}

    def apart(self, value: Record) -> Parts:
        return Parts(dict(zip(self._names, tuple.__iter__(value), strict=True)), {})

    def together(self, parts: Parts) -> Record:
        items = _complete(self._owner, self._names, self._defaults, parts.value)
        return tuple.__new__(self._owner, [items[name] for name in self._names])

    def is_whole(self, value: Record) -> bool:
        return has_only(value, frozenset())

    def is_sure(self, parts: Parts) -> bool:
        return True


class _Struct:
    kind = "struct"

    def __init__(self, owner: type[msgspec.Struct]) -> None:
        self._owner = owner
        self._names = owner.__struct_fields__

    def apart(self, value: Record) -> Parts:
        return Parts({name: getattr(value, name) for name in self._names}, {})

    def together(self, parts: Parts) -> Record:
        items = _fields_of(self._owner, self._names, parts.value)
        try:
            return self._owner(**items)
        except TypeError as exc:
            raise NotCodableError(f"no {class_name(self._owner)} can be made of it: {exc}") from exc

    def is_whole(self, value: Record) -> bool:
        return has_only(value, frozenset())

    def is_sure(self, parts: Parts) -> bool:
        return False  # its constructor is called, which may do anything


class _Model:
    """A model of pydantic; which fields were given, and what else it was given, is part of it."""

    kind = "pydantic"
    _UNSET, _EXTRA, _PRIVATE = "unset", "extra", "private"

    def __init__(self, owner: type) -> None:
        self._owner = owner
        found = declared(owner, "__pydantic_fields__")
        self._names = tuple(found)
        self._defaults = {name: one.get_default for name, one in found.items() if not one.is_required()}

    def apart(self, value: Record) -> Parts:
        inside = object.__getattribute__(value, "__dict__")
        own = {name: inside[name] for name in self._names if name in inside}
        extra = getattr(value, "__pydantic_extra__", None) or {}
        private = getattr(value, "__pydantic_private__", None) or {}
        given: set[str] = getattr(value, "__pydantic_fields_set__", set())
        unset = [name for name in (*own, *extra) if name not in given]
        beside = {self._UNSET: unset, self._EXTRA: list(extra), self._PRIVATE: dict(private)}
        return Parts(own | extra, {word: what for word, what in beside.items() if what})

    def together(self, parts: Parts) -> Record:
        items = parts.value if isinstance(parts.value, dict) else {}
        names = _words(parts.beside.get(self._EXTRA))
        extra = {name: items[name] for name in names if name in items}
        own = {name: item for name, item in items.items() if name not in extra}
        defaults = {name: lambda make=make: make(call_default_factory=True) for name, make in self._defaults.items()}
        own = _complete(self._owner, self._names, defaults, own)
        private = parts.beside.get(self._PRIVATE)
        unset = {*_words(parts.beside.get(self._UNSET)), *(name for name in own if name not in items)}
        value: Record = object.__new__(self._owner)
        object.__setattr__(value, "__dict__", own)
        self._put(value, "__pydantic_extra__", extra if self._allows_extra() else None)
        self._put(value, "__pydantic_fields_set__", {*own, *extra} - unset)
        self._put(value, "__pydantic_private__", private if isinstance(private, dict) else self._no_private())
        return value

    def is_whole(self, value: Record) -> bool:
        return has_only(value, frozenset(self._names))

    def is_sure(self, parts: Parts) -> bool:
        return False

    def _put(self, value: Record, name: str, content: Record) -> None:
        if isinstance(declared(self._owner, name), MemberDescriptorType):  # some models have no place for it
            object.__setattr__(value, name, content)

    def _allows_extra(self) -> bool:
        config = declared(self._owner, "model_config")
        return isinstance(config, dict) and config.get("extra") == "allow"

    def _no_private(self) -> dict[str, Record] | None:
        return {} if declared(self._owner, "__private_attributes__") else None


class _Members:
    kind = "enum"

    def __init__(self, owner: type[Enum]) -> None:
        self._owner = owner

    def apart(self, value: Record) -> Parts:
        return Parts(value._value_, {})

    def together(self, parts: Parts) -> Record:
        for member in self._owner.__members__.values():
            if type(member._value_) is type(parts.value) and member._value_ == parts.value:
                return member
        if issubclass(self._owner, Flag) and type(parts.value) is int:
            try:
                return self._owner(parts.value)
            except ValueError as exc:
                raise NotCodableError(str(exc)[:200]) from exc
        raise NotCodableError(f"{class_name(self._owner)} has no member with the value {parts.value!r:.100}")

    def is_whole(self, value: Record) -> bool:
        return True  # there is but one of each member, whatever is in it

    def is_sure(self, parts: Parts) -> bool:
        return False


def _dataclass(kind: type) -> Shape:
    defaults: dict[str, Callable[[], Record]] = {}
    for one in fields(kind):
        if one.default is not MISSING:
            defaults[one.name] = _constant(one.default)
        elif one.default_factory is not MISSING:
            defaults[one.name] = one.default_factory
    return _Fields("dataclass", kind, tuple(one.name for one in fields(kind)), defaults)


def _attrs(kind: type) -> Shape:
    found: tuple[Any, ...] = declared(kind, "__attrs_attrs__")
    defaults: dict[str, Callable[[], Record]] = {}
    for one in found:
        factory = getattr(one.default, "factory", None)
        if factory is None and "NOTHING" not in repr(one.default):
            defaults[one.name] = _constant(one.default)
        elif factory is not None and not one.default.takes_self:
            defaults[one.name] = factory
    return _Fields("attrs", kind, tuple(one.name for one in found), defaults)


def _constant(value: Record) -> Callable[[], Record]:
    return lambda: value


def _fields_of(owner: type, names: tuple[str, ...], found: Record) -> dict[str, Record]:
    if not isinstance(found, dict):
        raise NotCodableError(f"it has no fields for {class_name(owner)}")
    gone = [str(name) for name in found if name not in names]
    if gone:
        raise NotCodableError(f"{class_name(owner)} has no field {gone[0][:100]!r} any more")
    return found


def _complete(owner: type, names: tuple[str, ...], defaults: Defaults, found: Record) -> dict[str, Record]:
    """Return the fields in *found*, in their order, and the defaults of those that the class got since."""
    given = _fields_of(owner, names, found)
    complete = {}
    for name in names:
        if name in given:
            complete[name] = given[name]
        elif name in defaults:
            complete[name] = defaults[name]()
        else:
            raise NotCodableError(f"there is no value for the field {name!r} of {class_name(owner)}")
    return complete


def _words(found: Record) -> list[str]:
    return [word for word in found if isinstance(word, str)] if isinstance(found, list) else []


def _declares(name: str, as_a: type) -> Callable[[type], bool]:
    return lambda kind: isinstance(declared(kind, name), as_a)


_is_attrs, _is_dataclass = _declares("__attrs_attrs__", tuple), _declares("__dataclass_fields__", dict)
_is_named, _is_model = _declares("_fields", tuple), _declares("__pydantic_fields__", dict)
_KINDS: tuple[tuple[Callable[[type], bool], Callable[[Any], Shape]], ...] = (
    (lambda kind: Enum in mro_of(kind), _Members),
    (lambda kind: tuple in mro_of(kind) and _is_named(kind), _Tuple),
    (lambda kind: msgspec.Struct in mro_of(kind), _Struct),
    (lambda kind: _is_attrs(kind) and has_no_builtin(kind), _attrs),
    (lambda kind: _is_dataclass(kind) and has_no_builtin(kind), _dataclass),
    (lambda kind: _is_model(kind) and not _is_dataclass(kind), _Model),
)
"""What tells a kind of class, and what knows its values; the first that fits."""
