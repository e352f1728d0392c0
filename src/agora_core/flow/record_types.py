"""The classes that a pipeline's own code names: of these alone a replay makes records, whatever class a row names.

Nothing is imported and nothing of the user's is called: functions, classes and the objects in parts are looked at as
they lie there. That costs some milliseconds, for a replay; no run does it.
"""

import sys
from collections import ChainMap
from collections.abc import Iterable, Iterator, Mapping
from enum import Enum
from functools import partial, partialmethod
from inspect import get_annotations, getattr_static
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any, get_origin

from agora_core.codec.types import Types
from agora_core.flow.annotations import classes_in
from agora_core.flow.bound import BoundPipeline
from agora_core.spec.typed_values import RecordCodec

_METHODS = ("process", "process_batch", "write", "write_batch", "stream", "batches")
"""The methods of parts that records go through."""

_DEPTH = 4
"""How far a function or a part is followed into what it holds."""

_MOST_CLASSES = 10_000

_FOREIGN = {
    *sys.stdlib_module_names,
    "agora", "agora_core", "agora_plugins", "attr", "attrs", "msgspec", "pydantic", "pydantic_core",
    "typing_extensions",
} - {"__main__"}  # fmt: skip
"""Packages whose classes are no records of anybody's pipeline."""


def types_of(bound: BoundPipeline, codecs: Iterable[RecordCodec] = ()) -> Types:
    """Return what replay may make of the dead letters of *bound*; *codecs* are those of the plugins."""
    look = _Look()
    for kind in bound.config.record_types:
        look.keep(kind)
    for step in bound.steps:
        look.at(step.call)
    for part in (bound.source, *(step.part for step in bound.steps), *bound.sinks):
        look.at_part(part)
    look.at_fields()
    return Types(classes=tuple(look.classes), modules=tuple(look.modules), codecs=bound.config.codecs_with(codecs))


class _Look:
    """Looks at one pipeline."""

    def __init__(self) -> None:
        self.classes: dict[type, None] = {}
        self.modules: dict[str, None] = {}
        """Where the functions and the parts of the pipeline are written."""
        self._seen: dict[int, object] = {}
        """The objects by their ids, which stay theirs as long as they are held."""

    def keep(self, kind: type) -> None:
        """Take over a class, if records may be of it."""
        if not _is_foreign(kind.__module__) or issubclass(kind, Enum):
            self.classes[kind] = None

    def at_part(self, part: object, depth: int = 0) -> None:
        """Look at a source, a middleware or a sink, and at what it holds."""
        if part is None or depth > _DEPTH or self._is_known(part):
            return
        kind = type(part)
        self._keep_module(kind.__module__)
        for base in vars(kind).get("__orig_bases__", ()):
            self._keep_all(base, _names_of(kind))
        for name in _METHODS:
            self.at(getattr_static(part, name, None), depth)
        for value in _attributes(part):
            self._at_value(value, depth + 1)

    def at(self, function: Any, depth: int = 0) -> None:
        """Look at a function, at those that it wraps or holds, and at the classes that it names."""
        if depth > _DEPTH or function is None or self._is_known(function):
            return
        if isinstance(function, type):
            self.keep(function)
        elif isinstance(function, partial | partialmethod):
            self.at(function.func, depth)
        elif isinstance(function, MethodType | staticmethod | classmethod):
            self._at_value(getattr(function, "__self__", None), depth + 1)
            self.at(function.__func__, depth)
        elif isinstance(function, FunctionType):
            self._at_plain(function, depth)
        elif hasattr(type(function), "__call__"):  # noqa: B004  # looked for to be looked at, not to be called
            self.at_part(function, depth)
            self.at(getattr_static(type(function), "__call__", None), depth)

    def at_fields(self) -> None:
        """Follow the classes that are known by now into the fields that they declare."""
        waiting = list(self.classes)
        while waiting and len(self.classes) < _MOST_CLASSES:
            kind = waiting.pop()
            for base in kind.__mro__:
                if not _is_foreign(base.__module__):
                    known = len(self.classes)
                    for annotation in _declared(base):
                        self._keep_all(annotation, _names_of(base))
                    waiting += list(self.classes)[known:]

    def _at_plain(self, function: FunctionType, depth: int) -> None:
        self._keep_module(function.__module__)
        held = _held(function)
        names = ChainMap(held, function.__globals__)
        for annotation in _annotations(function):
            self._keep_all(annotation, names)
        if not _is_foreign(function.__module__):
            for kind in _classes_named_in(function.__code__, names):
                self.keep(kind)
        self.at(vars(function).get("__wrapped__"), depth + 1)
        for value in held.values():
            self._at_value(value, depth + 1)

    def _at_value(self, value: object, depth: int) -> None:
        """Look at what a function or a part holds: a class, an annotation, another function or part, records."""
        if isinstance(value, list | tuple) and value and type(value) in (list, tuple):
            value = value[0]
            self.keep(type(value))
        if get_origin(value) is not None:
            self._keep_all(value, {})
        elif isinstance(value, type | partial | partialmethod | MethodType | FunctionType):
            self.at(value, depth)
        elif any(getattr_static(type(value), name, None) is not None for name in _METHODS):
            self.at_part(value, depth)

    def _keep_all(self, annotation: object, names: Mapping[str, object]) -> None:
        for kind in classes_in(annotation, names):
            self.keep(kind)

    def _keep_module(self, name: object) -> None:
        if isinstance(name, str) and not _is_foreign(name):
            self.modules[name] = None

    def _is_known(self, one: object) -> bool:
        is_known = id(one) in self._seen
        self._seen[id(one)] = one
        return is_known


def _is_foreign(module: object) -> bool:
    return not isinstance(module, str) or module.partition(".")[0] in _FOREIGN


def _attributes(part: object) -> Iterator[object]:
    """Yield what lies in the attributes of *part*, in slots too; no property is asked."""
    yield from list(getattr(part, "__dict__", {}).values())
    for base in type(part).__mro__:
        slots = vars(base).get("__slots__", ())
        for name in [slots] if isinstance(slots, str) else slots:
            try:
                yield vars(base)[name].__get__(part)
            except (AttributeError, KeyError):  # an empty slot, or one with a name of its own
                continue


def _held(function: FunctionType) -> dict[str, Any]:
    """Return what *function* has of the function that made it, by name."""
    held = {}
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            held[name] = cell.cell_contents
        except ValueError:  # not set yet
            continue
    return held


def _classes_named_in(code: CodeType, names: Mapping[str, object]) -> Iterator[type]:
    """Yield the classes that *code* calls by a name of its module, or of a module that it calls by name."""
    used = set(_names_in(code))
    for name in used:
        found = names.get(name)
        if isinstance(found, type):
            yield found
        elif isinstance(found, ModuleType) and not _is_foreign(found.__name__):
            yield from (kind for other in used if isinstance(kind := vars(found).get(other), type))


def _names_in(code: CodeType) -> Iterator[str]:
    """Yield the names that *code* uses, and what is written inside of it."""
    yield from code.co_names
    yield from code.co_freevars
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names_in(constant)


def _names_of(kind: type) -> Mapping[str, object]:
    """Return the names that the annotations of a class may use."""
    module = sys.modules.get(kind.__module__)
    return ChainMap({kind.__name__: kind}, dict(vars(kind)), vars(module) if module is not None else {})


def _annotations(owner: Any) -> list[object]:
    try:
        return list(get_annotations(owner).values())
    except Exception:  # noqa: BLE001  # the user's annotations, which may be evaluated as late as here
        return []


def _declared(kind: type) -> Iterator[object]:
    """Yield the types of the fields that *kind* itself declares."""
    yield from _annotations(kind)
    for field in vars(kind).get("__attrs_attrs__", ()):
        yield field.type
    fields = vars(kind).get("__pydantic_fields__")
    if isinstance(fields, dict):
        for field in fields.values():
            yield field.annotation
