"""The columns of a dead letter's row, and the checksum over those that never change."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple, TypeAlias
from zlib import crc32

Row: TypeAlias = Mapping[str, object]

_NO_ORIGIN = b"4:None"


class Columns(NamedTuple):
    """What is read of a row, in this order. The row may have been damaged or forged: each may be anything."""

    id: object
    uid: object
    state: object
    pipeline_id: object
    run_id: object
    stage: object
    sink: object
    error_type: object
    first_failed_at: object
    last_failed_at: object
    attempts: object
    lease_until: object
    resolved_at: object
    replayed_run_id: object
    note: object
    codec: object
    type: object
    fidelity: object
    crc: object
    error_message: object
    error_traceback: object
    attempts_log: object
    origin_is: object
    record: object
    origin: object
    agora_version: object


COLUMNS = Columns._fields


def columns_of(row: Row) -> Columns:
    """Return what is read of *row*, by `COLUMNS`, which may have others too."""
    return Columns._make([row[name] for name in COLUMNS])


def checksum(row: Columns) -> int:
    """Return the CRC of all that never changes in *row*; SQLite itself does not notice a flipped bit in it."""
    own = (f"{row.uid}", f"{row.error_message}", f"{row.error_traceback}", f"{row.first_failed_at}")
    names = _shared(row.pipeline_id, row.run_id, row.stage, row.sink, row.error_type)
    kinds = _shared(row.codec, row.fidelity, row.origin_is)
    record = row.record if isinstance(row.record, bytes) else b""
    return checksum_over(own, names, kinds, record, row.origin if isinstance(row.origin, bytes) else None)


def checksum_over(
    own: tuple[str, str, str, str], names: bytes, kinds: bytes, record: bytes, origin: bytes | None
) -> int:
    """Return the CRC of a row's *own* texts, of its *names* and *kinds* as `parts` made them, and of what it keeps.

    The texts are the uid, the error's message and traceback, and the moment of the first failure. Each part is covered
    with its length in bytes, so that no two rows look the same.
    """
    uid, message, traceback, moment = map(_encoded, own)
    # One template for all: it is worked out for each letter that is written or read.
    texts = (len(uid), uid, names, len(message), message, len(traceback), traceback, len(moment), moment, kinds)
    crc = crc32(record, crc32(b"%d:%b%b%d:%b%d:%b%d:%b%b%d:" % (*texts, len(record))))
    return crc32(_NO_ORIGIN, crc) if origin is None else crc32(origin, crc32(b"%d:" % len(origin), crc))


@lru_cache(maxsize=256)
def parts(*texts: str) -> bytes:
    """Return *texts*, which many rows share, as the checksum covers them; raise `TypeError` where one is no text.

    What is none cannot always be remembered, and may equal what looks different: 1 is True.
    """
    if not all(isinstance(text, str) for text in texts):
        raise TypeError("only texts are remembered")
    return b"".join(map(_part, texts))


def _shared(*values: Any) -> bytes:
    try:
        return parts(*values)
    except TypeError:
        return b"".join([_part(f"{value}") for value in values])


def _part(text: str) -> bytes:
    encoded = _encoded(text)
    return b"%d:%b" % (len(encoded), encoded)


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "backslashreplace")
