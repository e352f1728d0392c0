"""Records as JSON that people and jq can read, and exactly back; what cannot come back exactly is only described."""

import json
from typing import NamedTuple

from agora_core.codec.description import describe, type_name
from agora_core.codec.objects import object_json
from agora_core.codec.plain import is_untagged, plain_json, read_json
from agora_core.codec.sameness import same
from agora_core.codec.scalars import NotCodableError
from agora_core.codec.tags import Tagging, untagged
from agora_core.codec.types import Types
from agora_core.spec.letters import Fidelity
from agora_core.spec.records import Record
from agora_core.spec.typed_values import TypedValue

FORMAT = "agora-json/1"
"""Kept with each row, so that a later format can live beside this one."""

MAX_BYTES = 16 * 1024 * 1024
"""The longest JSON of one record; a longer one is described by its head, its length and its SHA-256."""

_PLAIN_NAMES = {kind: kind.__name__ for kind in (dict, list, str, int, float, bool, type(None))}


class Encoded(NamedTuple):
    """A record as it is kept: UTF-8 JSON, how exact it is, and the name of its type for people."""

    payload: bytes
    fidelity: Fidelity
    type: str


def encode_record(record: Record, *, max_bytes: int = MAX_BYTES) -> Encoded:
    """Return *record* as JSON that `decode_record` turns into the same value, or a description of it; never raise."""
    quick = plain_json(record, max_bytes)
    if quick is not None:
        return Encoded(quick, Fidelity.EXACT, _PLAIN_NAMES[type(record)])
    quick = object_json(record, max_bytes)
    if quick is not None:
        return Encoded(quick, Fidelity.EXACT, _type_of(record))
    try:
        tagging = Tagging(max_bytes)
        payload = _dumps(tagging.of(record))
        if len(payload) > max_bytes:
            raise NotCodableError(f"larger than {max_bytes} bytes")
        fidelity = _proved(record, payload, tuple(tagging.classes))
    except NotCodableError as exc:
        return opaque(record, str(exc))
    except RecursionError:
        return opaque(record, "nested too deeply")
    # A record is anything: whatever goes wrong with it (it changes while it is read, memory runs out) must not make
    # the write of its dead letter fail.
    except Exception as exc:  # noqa: BLE001
        return opaque(record, f"it could not be read: {type(exc).__name__}")
    return Encoded(payload=payload, fidelity=fidelity, type=_type_of(record))


def decode_record(payload: bytes) -> Record:
    """Return the record that `encode_record` made *payload* of; raise `NotCodableError` when it is something else.

    Values of classes are `TypedValue`s, of which `Types` makes what they were.
    """
    try:
        tree = read_json(payload)
        return tree if is_untagged(payload) else untagged(tree)
    except NotCodableError:
        raise
    # What stands in a file may be anything, and each tag's reader has its own way to refuse it.
    except Exception as exc:
        raise NotCodableError(f"it cannot be read: {type(exc).__name__}: {str(exc)[:200]}") from exc


def opaque(record: Record, reason: str) -> Encoded:
    """Return a bounded description of *record* in place of it, with the *reason* why it is not kept."""
    return Encoded(payload=_dumps(describe(record, reason)), fidelity=Fidelity.OPAQUE, type=type_name(record))


def as_json(record: Record) -> object:
    """Return *record* as plain JSON values, tagged or described, for people to read."""
    return json.loads(encode_record(record).payload)


def _type_of(record: Record) -> str:
    return record.type.replace(":", ".") if type(record) is TypedValue else type_name(record)


def _proved(record: Record, payload: bytes, classes: tuple[type, ...]) -> Fidelity:
    """Return how well *record* comes back of *payload*, with the *classes* that were met in it."""
    back = decode_record(payload)
    if classes:
        back = Types(classes=classes).restore_known(back)
    if same(back, record):
        return Fidelity.EXACT
    if classes and type(back) is type(record) and bool(back == record):
        return Fidelity.EQUAL
    raise NotCodableError("it does not come back as it was")


def _dumps(tree: object) -> bytes:
    return json.dumps(tree, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
