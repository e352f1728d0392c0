"""Roughly how much memory a record takes up."""

from collections.abc import Iterable, Mapping
from itertools import islice
from sys import getsizeof

from agora_core.spec.records import Record

_DEPTH = 4
_UNKNOWN = 64


def weight_of(record: Record) -> int:
    """Return the bytes that *record* and what it holds take up, estimated from the first few things in each container.

    Objects of users' own classes are asked for their own size only, which does not count their attributes.
    """
    try:
        return max(1, _weight(record, _DEPTH))
    except Exception:  # noqa: BLE001  # the user's own __sizeof__ or mapping, which must not fail the run for an estimate
        return _UNKNOWN


def _weight(record: Record, depth: int) -> int:
    size = getsizeof(record, _UNKNOWN)
    if depth == 0 or isinstance(record, str | bytes | bytearray | memoryview):
        return size
    if isinstance(record, Mapping):
        return size + _held(record.values(), len(record), depth)
    if isinstance(record, list | tuple | set | frozenset):
        return size + _held(record, len(record), depth)
    return size


def _held(values: Iterable[object], count: int, depth: int) -> int:
    # Of what lies deep less is looked at, or a record of many levels would take long.
    sample = [_weight(value, depth - 1) for value in islice(values, 2**depth)]
    return sum(sample) * count // len(sample) if sample else 0
