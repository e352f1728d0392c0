"""Dead letters as rows of the SQLite store, and back. A row may have been damaged or forged: reading never raises."""

import json
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from functools import lru_cache
from typing import TypeAlias
from zlib import crc32

from agora_core.builtin.codec import FORMAT, Encoded, decode_record, encode_record
from agora_core.builtin.codec_description import printable
from agora_core.builtin.codec_scalars import NotCodableError
from agora_core.builtin.sqlite_moments import microseconds, moment
from agora_core.spec.letters import KEPT_FAILURES, UNKNOWN, DeadLetter, Failure, Fidelity, LetterState
from agora_core.spec.records import Record

COLUMNS = (
    "id", "uid", "state", "pipeline_id", "run_id", "stage", "sink", "error_type", "first_failed_at", "last_failed_at",
    "attempts", "lease_until", "resolved_at", "replayed_run_id", "note",
    "codec", "type", "fidelity", "crc", "error_message", "error_traceback", "attempts_log",
    "origin_is", "record", "origin",
)  # fmt: skip
"""What is read of a row, in this order."""

_IMMUTABLE = (
    "uid", "pipeline_id", "run_id", "stage", "sink", "error_type", "error_message", "error_traceback",
    "first_failed_at", "codec", "fidelity", "origin_is", "record", "origin",
)  # fmt: skip
_LONGEST_MESSAGE = 8192
_LONGEST_TRACEBACK = 16384
_HEAD = 4096
_NO_ORIGIN = b"None"
_NO_FAILURES = "[]"
_DEAD, _EXACT, _OPAQUE = LetterState.DEAD.value, Fidelity.EXACT.value, Fidelity.OPAQUE.value
_UNSETTLED = (LetterState.DEAD, LetterState.LEASED)
_FORMAT_PART = f"{len(FORMAT)}:{FORMAT}"

STORED = tuple(column for column in COLUMNS if column != "id")
"""What is written of a new row, in this order."""

Row: TypeAlias = Mapping[str, object]
Stored: TypeAlias = tuple[object, ...]


def row_of(letter: DeadLetter, *, keep_lease: bool = False) -> dict[str, object]:
    """Return the values of a new row for *letter* by their columns; whatever its record is, this does not fail."""
    return dict(zip(STORED, stored_of(letter, keep_lease=keep_lease), strict=True))


def stored_of(letter: DeadLetter, *, keep_lease: bool = False) -> Stored:
    """Return the values of a new row for *letter*, in the order of `STORED`; this does not fail either.

    A lease belongs to the store that gave it: without it the letter is dead, and with it, leased by nobody.
    """
    record = _encoded(letter)
    is_exact = letter.fidelity is not Fidelity.OPAQUE and record.fidelity is Fidelity.EXACT
    fidelity = _EXACT if is_exact else _OPAQUE
    origin_is, origin = _origin_of(letter, is_exact=is_exact)
    error = letter.error
    names, named = _names_of(letter.pipeline_id, letter.run_id, letter.stage, letter.sink, error.type)
    uid = printable(letter.uid)
    message, traceback = _cut(error.message, _LONGEST_MESSAGE), _cut(error.traceback, _LONGEST_TRACEBACK)
    first, last = letter.first_failed_at, letter.last_failed_at
    first_failed_at = _microseconds(first)
    # The text of all that the checksum covers but the record and its origin, in the order of `_IMMUTABLE`.
    covered = (
        f"{_part(uid)}{named}{_part(message)}{_part(traceback)}{_part(str(first_failed_at))}"
        f"{_FORMAT_PART}{len(fidelity)}:{fidelity}{len(origin_is)}:{origin_is}"
    )
    crc = _continued(record.payload, crc32(covered.encode()))
    is_leased = keep_lease and letter.state is LetterState.LEASED and letter.lease_until is not None
    return (
        uid,
        _DEAD if letter.state in _UNSETTLED and not is_leased else letter.state.value,
        *names,
        first_failed_at,
        first_failed_at if last is first else _microseconds(last),
        letter.attempts,
        _number_of(letter.lease_until) if is_leased else None,
        _number_of(letter.resolved_at),
        printable(letter.replayed_run_id),
        printable(letter.note),
        FORMAT,
        record.type,
        fidelity,
        _continued(_NO_ORIGIN if origin is None else origin, crc),
        message,
        traceback,
        _log_of(letter),
        origin_is,
        record.payload,
        origin,
    )


def _encoded(letter: DeadLetter) -> Encoded:
    """Return the record as it is kept; one that is only described, by another store, keeps that description."""
    if letter.fidelity is Fidelity.OPAQUE and isinstance(letter.record, dict) and "opaque" in letter.record:
        with suppress(ValueError, TypeError, RecursionError):
            payload = json.dumps(letter.record, ensure_ascii=False, separators=(",", ":")).encode()
            return Encoded(payload=payload, fidelity=Fidelity.OPAQUE, type=_text(letter.record.get("type")))
    return encode_record(letter.record)


@lru_cache(maxsize=256)
def _names_of(*names: str) -> tuple[tuple[str, ...], str]:
    """Return *names*, which many letters share, as they are kept, and as the checksum covers them."""
    kept = tuple(printable(name) for name in names)
    return kept, "".join(map(_part, kept))


def _microseconds(when: datetime) -> int:
    # Not of other zones: there two moments are equal that are an hour apart, when clocks are put back.
    return _microseconds_in_utc(when) if when.tzinfo is UTC else microseconds(when)


_microseconds_in_utc = lru_cache(maxsize=64)(microseconds)


def _number_of(when: datetime | None) -> int | None:
    return None if when is None else _microseconds(when)


def _log_of(letter: DeadLetter) -> str:
    log = _NO_FAILURES
    for failure in letter.attempts_log or ((letter.last_error,) if letter.last_error else ()):
        log = log_with(log, failure)
    return log


def letter_of(values: tuple[object, ...], now: int) -> DeadLetter:
    """Return the letter in a row of `COLUMNS`; what cannot be trusted in it becomes opaque, and says why."""
    row = dict(zip(COLUMNS, values, strict=True))
    record, origin, fidelity = _contents(row)
    failures = _later_failures(row["attempts_log"])
    state = _state(row, now)
    return DeadLetter(
        id=_number(row["id"]),
        uid=_text(row["uid"]),
        pipeline_id=_text(row["pipeline_id"]),
        run_id=_text(row["run_id"]),
        stage=_text(row["stage"]),
        sink=_text(row["sink"]),
        record=record,
        origin=origin,
        error=Failure(
            type=_text(row["error_type"]),
            message=_text(row["error_message"]),
            traceback=_text(row["error_traceback"]),
        ),
        attempts_log=failures,
        last_error=failures[-1] if failures else None,
        first_failed_at=moment(row["first_failed_at"]),
        last_failed_at=moment(row["last_failed_at"]),
        attempts=_number(row["attempts"]),
        state=state,
        lease_until=moment(row["lease_until"]) if state is LetterState.LEASED else None,
        resolved_at=None if row["resolved_at"] is None else moment(row["resolved_at"]),
        replayed_run_id=_text(row["replayed_run_id"]),
        note=_text(row["note"]),
        fidelity=fidelity,
    )


def damage_in(row: Row) -> str:
    """Return what is wrong with *row*, by `COLUMNS`, or an empty text: a flipped bit, an unknown codec, no JSON."""
    record, _, fidelity = _contents(row)
    if fidelity is Fidelity.EXACT or (row["fidelity"] == _OPAQUE and record == _described(row["record"])):
        return ""
    return str(record["opaque"])


def log_with(log: object, failure: Failure) -> str:
    """Return the *log* of a row's later failures with one more, the oldest ones dropped."""
    new = {
        "type": printable(failure.type),
        "message": _cut(failure.message, _LONGEST_MESSAGE),
        "traceback": _cut(failure.traceback, _LONGEST_TRACEBACK),
    }
    return json.dumps([*_failures(log), new][-KEPT_FAILURES:], ensure_ascii=False)


def _origin_of(letter: DeadLetter, *, is_exact: bool) -> tuple[str, bytes | None]:
    """Return how the origin is kept; one that cannot be kept exactly is not known any more."""
    if is_exact and letter.origin is letter.record:
        return "record", None
    if letter.origin is UNKNOWN:
        return "unknown", None
    origin = encode_record(letter.origin)
    return ("kept", origin.payload) if origin.fidelity is Fidelity.EXACT else ("unknown", None)


def _contents(row: Row) -> tuple[Record, Record, Fidelity]:
    payload = row["record"] if isinstance(row["record"], bytes) else b""
    if row["crc"] != _checksum(row):
        return _unreadable(row, payload, "the row does not fit its checksum: it was changed on disk")
    if row["codec"] != FORMAT:
        return _unreadable(row, payload, f"the codec {_text(row['codec'])[:100]!r} is not known")
    try:
        if row["fidelity"] != Fidelity.EXACT.value:
            return json.loads(payload), _origin_in(row, UNKNOWN), Fidelity.OPAQUE
        record = decode_record(payload)
        return record, _origin_in(row, record), Fidelity.EXACT
    except (NotCodableError, ValueError, RecursionError) as exc:
        return _unreadable(row, payload, str(exc))


def _origin_in(row: Row, record: Record) -> Record:
    if row["origin_is"] == "record":
        return record
    if row["origin_is"] != "kept" or not isinstance(row["origin"], bytes):
        return UNKNOWN
    try:
        return decode_record(row["origin"])
    except NotCodableError:
        return UNKNOWN


def _unreadable(row: Row, payload: bytes, reason: str) -> tuple[Record, Record, Fidelity]:
    head = payload[:_HEAD].decode("utf-8", "backslashreplace")
    shown = {"opaque": reason, "type": _text(row["type"])[:_HEAD], "value": head}
    return shown, UNKNOWN, Fidelity.OPAQUE


def _checksum(row: Row) -> int:
    """Return the CRC of all that never changes in a row; SQLite itself does not notice a flipped bit in it."""
    covered = "".join([_part(str(row[name])) for name in _IMMUTABLE[:-2]])
    record, origin = row["record"], row["origin"]
    crc = _continued(record if isinstance(record, bytes) else b"", crc32(covered.encode("utf-8", "backslashreplace")))
    return _continued(origin if isinstance(origin, bytes) else _NO_ORIGIN, crc)


def _part(text: str) -> str:
    """Return *text* as the checksum covers it: with its length in bytes, so that no two rows look the same."""
    return f"{len(text) if text.isascii() else len(text.encode('utf-8', 'backslashreplace'))}:{text}"


def _continued(part: bytes, crc: int) -> int:
    return crc32(part, crc32(b"%d:" % len(part), crc))


def _state(row: Row, now: int) -> LetterState:
    try:
        state = LetterState(_text(row["state"]))
    except ValueError:
        return LetterState.PARKED
    overdue = state is LetterState.LEASED and _number(row["lease_until"]) <= now
    return LetterState.DEAD if overdue else state


def _failures(log: object) -> list[object]:
    try:
        entries = json.loads(_text(log))
    except (ValueError, RecursionError):
        return []
    return entries if isinstance(entries, list) else []


def _later_failures(log: object) -> tuple[Failure, ...]:
    if log == _NO_FAILURES:
        return ()
    return tuple(
        Failure(
            type=_text(entry.get("type", "")),
            message=_text(entry.get("message", "")),
            traceback=_text(entry.get("traceback", "")),
        )
        for entry in _failures(log)
        if isinstance(entry, dict)
    )


def _described(payload: object) -> object:
    try:
        return json.loads(payload) if isinstance(payload, bytes) else None
    except (ValueError, RecursionError):
        return None


def _cut(text: str, longest: int) -> str:
    if text.isascii() and len(text) <= longest:
        return text
    return printable(text if len(text) <= longest else f"{text[: longest - 1]}…")


def _text(value: object) -> str:
    return value if isinstance(value, str) else "" if value is None else str(value)


def _number(value: object) -> int:
    return value if isinstance(value, int) else 0
