"""The quick way for records of plain JSON values: written, read back and compared without a Python call per value.

Its JSON is what the long way writes, but for the spelling of numbers. Whatever it is not sure of is left to that.
"""

import marshal

import msgspec

from agora_core.spec.records import Record

EXACT_IN_JSON = 2**53
"""jq and JavaScript round integers beyond it."""

_DEPTH = 20
_WEIGHT = 24
"""About how many bytes a value takes that has no length."""

_encode = msgspec.json.Encoder().encode
read_json = msgspec.json.Decoder().decode
"""How every payload is read, so that what is proved when one is written holds when it is read."""

_BINARY = 2
"""The last version of `marshal` that writes a value in one way only, whoever else refers to it."""


def plain_json(record: Record, max_bytes: int) -> bytes | None:
    """Return *record* as JSON that is proved to come back exactly, or None where the long way must be gone."""
    try:
        if _room_after(record, max_bytes, _DEPTH) < 0:
            return None
        payload = _encode(record)
        # These bytes tell apart all types and values that there can be: 1, 1.0 and True, 0.0 and -0.0, the order of a
        # dict. Subclasses have none.
        if len(payload) <= max_bytes and marshal.dumps(read_json(payload), _BINARY) == marshal.dumps(record, _BINARY):
            return payload
    # Not UTF-8, changed by another thread meanwhile, out of memory: the long way has an answer to each.
    except Exception:  # noqa: BLE001, S110
        pass
    return None


def is_untagged(payload: bytes) -> bool:
    """Return whether no value in *payload* can be a tag, however it is spelled."""
    return b'"$' not in payload and b"\\u" not in payload


def _room_after(value: Record, room: int, depth: int) -> int:
    """Return what is left of *room* bytes, less than 0 also where a value is none that JSON has."""
    kind = type(value)
    if kind is str:
        return room - len(value)
    if kind is dict and depth:
        return _room_after_dict(value, room, depth - 1)
    if kind is list and depth:
        return _room_after_list(value, room, depth - 1)
    if kind is int:
        is_plain = -EXACT_IN_JSON <= value <= EXACT_IN_JSON
    else:
        is_plain = kind is float or kind is bool or value is None
    return room - _WEIGHT if is_plain else -1


def _room_after_dict(value: dict[Record, Record], room: int, depth: int) -> int:
    for key, item in value.items():
        if type(key) is not str:
            return -1
        room -= len(key)
        # The commonest values here, and not in a call each.
        kind = type(item)
        if kind is str:
            room -= len(item)
        elif kind is float or item is None:
            room -= _WEIGHT
        else:
            room = _room_after(item, room, depth)
        if room < 0:
            break
    return room


def _room_after_list(value: list[Record], room: int, depth: int) -> int:
    if value and type(value[0]) is str and value[0].startswith("$"):
        return -1  # it would look like a tag
    for item in value:
        room = _room_after(item, room, depth)
        if room < 0:
            break
    return room
