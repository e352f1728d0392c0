"""The classes of which records may be made again, and the making. A class is never imported because a row names it."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field

from agora_core.codec.classes import class_name
from agora_core.codec.scalars import NotCodableError
from agora_core.codec.shapes import Parts, shape_of
from agora_core.spec.records import Record
from agora_core.spec.typed_values import CodedValue, RecordCodec, TypedValue

_MAIN = "__main__"
_CONTAINERS = (dict, list, tuple, set, frozenset)
_MADE = frozenset({*_CONTAINERS, TypedValue, CodedValue})
"""What may have to be made again, or may hold such a value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Types:
    """What is known when records come back."""

    classes: Sequence[type] = ()
    """The classes, wherever they are written."""
    modules: Sequence[str] = ()
    """Modules that are imported already: the classes that stand in them count too."""
    codecs: Sequence[RecordCodec] = ()
    """The codecs, the first of a name before others."""
    _by_name: dict[str, type] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        known: dict[str, type] = {}
        for kind in self.classes:
            known.setdefault(class_name(kind), kind)
        for name in self.modules:
            for found in list(vars(sys.modules[name]).values()) if name in sys.modules else ():
                if isinstance(found, type):
                    known.setdefault(class_name(found), found)
        object.__setattr__(self, "_by_name", known)

    def restore(self, record: Record) -> Record:
        """Return *record* with all values of classes and codecs in it made again, or itself where there are none.

        Raises `NotCodableError`, whose message is the reason, when one of them cannot be made.
        """
        try:
            return _Restoring(self).of(record)
        except RecursionError:
            raise NotCodableError("nested too deeply") from None

    def restore_known(self, record: Record) -> Record:
        """Return the same, but leave values of other classes and codecs as they are."""
        return _Restoring(self, is_strict=False).of(record)

    def find(self, name: str) -> type | None:
        """Return the class that a row names, or None."""
        known = self._by_name.get(name)
        module, _, path = name.partition(":")
        if known is not None or not path:
            return known
        if module == _MAIN:
            return self._in_any_module(path)
        if module not in self.modules and f"{module}:{path.partition('.')[0]}" not in self._by_name:
            return None
        found: object = sys.modules.get(module)
        for step in path.split("."):
            # As it lies there: nothing is asked, and so nothing is run or imported.
            found = vars(found).get(step) if hasattr(found, "__dict__") else None
        return found if isinstance(found, type) and class_name(found) == name else None

    def _in_any_module(self, path: str) -> type | None:
        """Return the class of a module that was run as a program then, and has a name now."""
        found = {kind for name, kind in self._by_name.items() if name.partition(":")[2] == path}
        return found.pop() if len(found) == 1 else None


class _Restoring:
    """Makes one record again."""

    def __init__(self, types: Types, *, is_strict: bool = True) -> None:
        self._types = types
        self._is_strict = is_strict

    def of(self, value: Record) -> Record:
        kind = type(value)
        if kind is TypedValue:
            return self._typed(value)
        if kind is CodedValue:
            return self._coded(value)
        if kind not in _CONTAINERS:
            return value
        if kind is dict:
            return self._dict(value)
        if _MADE.isdisjoint(map(type, value)):
            return value
        made = []
        for item in value:
            made.append(self.of(item))  # noqa: PERF401  # one call per level, as in the codec
        is_new = any(new is not old for new, old in zip(made, value, strict=True))
        return kind(made) if is_new else value

    def _dict(self, value: dict[Record, Record]) -> Record:
        if _MADE.isdisjoint(map(type, value.values())) and _MADE.isdisjoint(map(type, value)):
            return value
        made = {}
        is_new = False
        for key, item in value.items():
            new_key, new = self.of(key), self.of(item)
            is_new = is_new or new is not item or new_key is not key
            made[new_key] = new
        return made if is_new else value

    def _typed(self, value: TypedValue) -> Record:
        owner = self._types.find(value.type)
        if owner is None:
            if not self._is_strict:
                return value
            raise NotCodableError(
                f"its class {value.type} is not known here: no code of the pipeline names it; give it in record_types"
            )
        shape = shape_of(owner)
        if shape is None or shape.kind != value.kind:
            now = "a plain class" if shape is None else f"a class of {shape.kind}"
            raise NotCodableError(f"its class {value.type} was one of {value.kind}, and is {now} now")
        parts = Parts(self.of(value.value), {name: self.of(part) for name, part in value.beside.items()})
        try:
            return shape.together(parts)
        except NotCodableError:
            raise
        # The class is the user's, and may have become one whose values refuse what its fields were.
        except Exception as exc:
            reason = f"{type(exc).__name__}: {str(exc)[:200]}"
            raise NotCodableError(f"no {value.type} can be made of it any more: {reason}") from exc

    def _coded(self, value: CodedValue) -> Record:
        codec = next((one for one in self._types.codecs if one.name == value.codec), None)
        if codec is None:
            if not self._is_strict:
                return value
            raise NotCodableError(f"its codec {value.codec[:100]!r} is neither installed nor in codecs=")
        try:
            return codec.decode(value.payload)
        # A plugin call: what it raises means the record.
        except (Exception, SystemExit) as exc:
            reason = f"{type(exc).__name__}: {str(exc)[:200]}"
            raise NotCodableError(f"the codec {value.codec[:100]!r} cannot read it: {reason}") from exc
