"""Records whose values of foreign classes were turned into bytes by codecs, so that any store can keep them."""

from collections.abc import Sequence

from agora_core.codec.classes import class_name
from agora_core.codec.description import type_name
from agora_core.codec.objects import comes_back
from agora_core.codec.shapes import shape_of
from agora_core.codec.tags import MAX_DEPTH, is_kept_by_itself
from agora_core.spec.records import Record
from agora_core.spec.typed_values import CodedValue, RecordCodec, TypedValue

_CONTAINERS = (dict, list, tuple, set, frozenset)


def with_codecs(record: Record, codecs: Sequence[RecordCodec]) -> Record:
    """Return *record* with a `CodedValue` for each value that one of *codecs* keeps; itself where there is none.

    No codec is asked for what every store keeps by itself. What does not come back the same stays as it is. Whatever a
    codec raises is raised.
    """
    return _Coding(codecs).of(record) if codecs else record


class _Coding:
    """Goes through one record."""

    def __init__(self, codecs: Sequence[RecordCodec]) -> None:
        self._codecs = codecs
        self._done: dict[int, Record] = {}
        """By the id of what was gone through, which may be in the record several times, or in itself."""

    def of(self, value: Record, depth: int = 0) -> Record:
        kind = type(value)
        if is_kept_by_itself(kind) or depth > MAX_DEPTH:
            return value
        if id(value) in self._done:
            return self._done[id(value)]
        self._done[id(value)] = value
        new = self._container(value, depth) if kind in _CONTAINERS else self._object(value, depth)
        self._done[id(value)] = new
        return new

    def _container(self, value: Record, depth: int) -> Record:
        kind = type(value)
        old = [*value.keys(), *value.values()] if kind is dict else list(value)
        new = []
        for item in old:
            new.append(self.of(item, depth + 1))  # noqa: PERF401  # one call per level, as in the codec
        if all(one is other for one, other in zip(new, old, strict=True)):
            return value
        return dict(zip(new[: len(value)], new[len(value) :], strict=True)) if kind is dict else kind(new)

    def _object(self, value: Record, depth: int) -> Record:
        shape = shape_of(type(value))
        if shape is None:
            return self._coded(value)
        parts = shape.apart(value)
        if not comes_back(value, shape, parts):
            return self._coded(value)
        inside, beside = self.of(parts.value, depth + 1), self.of(parts.beside, depth + 1)
        if inside is parts.value and beside is parts.beside:
            return value
        return TypedValue(type=class_name(type(value)), kind=shape.kind, value=inside, beside=beside)

    def _coded(self, value: Record) -> Record:
        for codec in self._codecs:
            payload = codec.encode(value)
            if payload is None:
                continue
            if type(payload) is bytes and codec.same(value, codec.decode(payload)):
                return CodedValue(codec=codec.name, type=type_name(value), payload=payload)
            return value
        return value
