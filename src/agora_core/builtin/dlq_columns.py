"""The columns of a dead letter's row, and the checksum over those that never change."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple, TypeAlias
from zlib import crc32

Row: TypeAlias = Mapping[str, object]

_NO_ORIGIN = b"None"


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
    covered = (
        f"{part(f'{row.uid}')}{_shared(row.pipeline_id, row.run_id, row.stage, row.sink, row.error_type)}"
        f"{part(f'{row.error_message}')}{part(f'{row.error_traceback}')}{part(f'{row.first_failed_at}')}"
        f"{_shared(row.codec, row.fidelity, row.origin_is)}"
    )
    record = row.record if isinstance(row.record, bytes) else b""
    return checksum_over(covered, record, row.origin if isinstance(row.origin, bytes) else None)


def checksum_over(covered: str, record: bytes, origin: bytes | None) -> int:
    """Return the CRC of the *covered* texts, as `part` and `parts` made them, of a *record* and its *origin*."""
    crc = _continued(record, crc32(covered.encode("utf-8", "backslashreplace")))
    return _continued(_NO_ORIGIN if origin is None else origin, crc)


def part(text: str) -> str:
    """Return *text* as the checksum covers it: with its length in bytes, so that no two rows look the same."""
    return f"{len(text) if text.isascii() else len(text.encode('utf-8', 'backslashreplace'))}:{text}"


@lru_cache(maxsize=256)
def parts(*texts: str) -> str:
    """Return *texts*, which many rows share, as the checksum covers them; raise `TypeError` where one is no text.

    What is none cannot always be remembered, and may equal what looks different: 1 is True.
    """
    if not all(isinstance(text, str) for text in texts):
        raise TypeError("only texts are remembered")
    return "".join(map(part, texts))


def _shared(*values: Any) -> str:
    try:
        return parts(*values)
    except TypeError:
        return "".join([part(f"{value}") for value in values])


def _continued(data: bytes, crc: int) -> int:
    return crc32(data, crc32(b"%d:" % len(data), crc))
