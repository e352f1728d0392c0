"""A bounded description of a record that cannot be kept: enough to find it and mend it, never all of it."""

from base64 import b64encode
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from enum import Enum
from hashlib import sha256
from itertools import islice
from math import isfinite

from agora_core.spec.records import Record

_HEAD = 4096
_INNER_HEAD = 200
_WIDTH = 20
_DEPTH = 5
_PARTS = 200
_REPR = 500
_LONGEST_INT = 1024
_CHUNK = 1 << 20


def describe(record: Record, reason: str) -> dict[str, object]:
    """Return what *record* is, as JSON values of some KiB, and the *reason* why it is not kept itself."""
    return {"opaque": reason, "type": type_name(record), "value": _View().of(record)}


def type_name(record: Record) -> str:
    """Return the full name of the type of *record*, for people only."""
    kind = type(record)
    # By the descriptors of `type` itself, since a metaclass may answer anything, or raise.
    name: str = type.__dict__["__qualname__"].__get__(kind)
    try:
        module = type.__dict__["__module__"].__get__(kind)
    except AttributeError:
        module = None
    known = isinstance(module, str) and module != "builtins"
    return printable(f"{module}.{name}" if known else name)[:_INNER_HEAD]


def printable(text: str) -> str:
    """Return *text* with lone surrogates escaped, since UTF-8 has no place for them."""
    if text.isascii():
        return text
    return text.encode("utf-8", "backslashreplace").decode()


class _View:
    """Looks at no more than so many parts of one record."""

    def __init__(self) -> None:
        self._parts = _PARTS

    def of(self, value: Record, depth: int = 0) -> object:
        """Return *value* as JSON values, cut where it is long, deep or wide."""
        self._parts -= 1
        try:
            return self._scalar(value, depth) if depth > _DEPTH or self._parts < 0 else self._whole(value, depth)
        # A user's own object may raise anything when it is looked at; its type is described all the same.
        except (Exception, SystemExit) as exc:  # noqa: BLE001
            return f"<{type_name(value)}, whose repr() raised {type(exc).__name__}>"

    def _scalar(self, value: Record, depth: int) -> object:
        kind = type(value)
        head = _INNER_HEAD if depth else _HEAD
        if value is None or kind is bool or (kind is float and isfinite(value)):
            return value
        if issubclass(kind, int) and int.bit_length(value) > _LONGEST_INT:
            return f"<an integer of {int.bit_length(value)} bits>"
        if kind is int:
            return value
        if issubclass(kind, str):
            return _text(str.__str__(value), head)
        if issubclass(kind, bytes | bytearray):
            return _bytes(value, head)
        return _text(repr(value), _REPR) if issubclass(kind, float) else f"<{type_name(value)}>"

    def _whole(self, value: Record, depth: int) -> object:
        kind = type(value)
        # The methods of the built-in type itself: a subclass may have its own, which never end.
        if issubclass(kind, dict):
            items = islice(dict.items(value), _WIDTH)
            shown = {self._key(key): self.of(item, depth + 1) for key, item in items}
            return shown | ({"…": _more(dict.__len__(value))} if dict.__len__(value) > _WIDTH else {})
        for sort in (list, tuple, set, frozenset):
            if issubclass(kind, sort):
                parts = [self.of(item, depth + 1) for item in islice(sort.__iter__(value), _WIDTH)]
                return parts + ([_more(sort.__len__(value))] if sort.__len__(value) > _WIDTH else [])
        if is_dataclass(kind):
            return {name: self.of(item, depth + 1) for name, item in islice(_fields(value), _WIDTH)}
        if value is None or (issubclass(kind, int | float | str | bytes | bytearray) and not issubclass(kind, Enum)):
            return self._scalar(value, depth)
        return _text(repr(value), _REPR)

    def _key(self, key: Record) -> str:
        shown = self.of(key, _DEPTH)
        return shown if isinstance(shown, str) else str(shown)


def _fields(value: Record) -> Iterator[tuple[str, Record]]:
    for field in fields(value):
        if field.repr and hasattr(value, field.name):
            yield field.name, getattr(value, field.name)


def _more(length: int) -> str:
    return f"… and {length - _WIDTH} more"


def _text(value: str, head: int) -> object:
    if len(value) <= head:
        return printable(value)
    digest = sha256()
    for start in range(0, len(value), _CHUNK):
        digest.update(value[start : start + _CHUNK].encode("utf-8", "surrogatepass"))
    return {"length": len(value), "sha256": digest.hexdigest(), "head": printable(value[:head])}


def _bytes(value: bytes | bytearray, head: int) -> object:
    with memoryview(value) as view:
        shown = b64encode(view[:head]).decode("ascii")
        if len(view) <= head:
            return {"length": len(view), "base64": shown}
        return {"length": len(view), "sha256": sha256(view).hexdigest(), "head": shown}
