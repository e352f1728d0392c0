"""Dead letters as rows of the SQLite store, and back. A row may have been damaged or forged: reading never raises."""

import json
from contextlib import suppress
from datetime import UTC, datetime
from functools import lru_cache
from typing import TypeAlias

from agora_core.builtin.dlq_columns import COLUMNS, Columns, Row, checksum, checksum_over, columns_of, parts
from agora_core.builtin.installed_version import installed_version
from agora_core.builtin.sqlite_moments import microseconds, moment
from agora_core.codec.description import printable
from agora_core.codec.records import FORMAT, Encoded, decode_record, encode_record
from agora_core.codec.scalars import NotCodableError
from agora_core.spec.letters import KEPT_FAILURES, UNKNOWN, DeadLetter, Failure, Fidelity, LetterState
from agora_core.spec.records import Record

_LONGEST_MESSAGE = 8192
_LONGEST_TRACEBACK = 16384
_HEAD = 4096
_NO_FAILURES = "[]"
_DEAD, _OPAQUE = LetterState.DEAD.value, Fidelity.OPAQUE.value
_WEAKNESS = (Fidelity.EXACT, Fidelity.EQUAL, Fidelity.LOSSY, Fidelity.OPAQUE)
_UNSETTLED = (LetterState.DEAD, LetterState.LEASED)

STORED = tuple(column for column in COLUMNS if column != "id")
"""What is written of a new row, in this order."""

Stored: TypeAlias = tuple[object, ...]


def row_of(letter: DeadLetter, *, keep_lease: bool = False) -> dict[str, object]:
    """Return the values of a new row for *letter* by their columns; whatever its record is, this does not fail."""
    return dict(zip(STORED, stored_of(letter, keep_lease=keep_lease), strict=True))


def stored_of(letter: DeadLetter, *, keep_lease: bool = False) -> Stored:
    """Return the values of a new row for *letter*, in the order of `STORED`; this does not fail either.

    A lease belongs to the store that gave it: without it the letter is dead, and with it, leased by nobody.
    """
    record = _encoded(letter)
    weaker = _weaker(letter.fidelity, record.fidelity)
    origin_is, origin, weaker = _origin_of(letter, weaker)
    fidelity = weaker.value
    error = letter.error
    names, named = _names_of(letter.pipeline_id, letter.run_id, letter.stage, letter.sink, error.type)
    uid = printable(letter.uid)
    message, traceback = _cut(error.message, _LONGEST_MESSAGE), _cut(error.traceback, _LONGEST_TRACEBACK)
    first, last = letter.first_failed_at, letter.last_failed_at
    first_failed_at = _microseconds(first)
    own = (uid, message, traceback, f"{first_failed_at}")
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
        checksum_over(own, named, parts(FORMAT, fidelity, origin_is), record.payload, origin),
        message,
        traceback,
        _log_of(letter),
        origin_is,
        record.payload,
        origin,
        printable(letter.agora_version) or _version_of(keep_lease=keep_lease),
    )


def _encoded(letter: DeadLetter) -> Encoded:
    """Return the record as it is kept; one that is only described, by another store, keeps that description."""
    if letter.fidelity is Fidelity.OPAQUE and isinstance(letter.record, dict) and "opaque" in letter.record:
        with suppress(ValueError, TypeError, RecursionError):
            payload = json.dumps(letter.record, ensure_ascii=False, separators=(",", ":")).encode()
            return Encoded(payload=payload, fidelity=Fidelity.OPAQUE, type=_text(letter.record.get("type")))
    return encode_record(letter.record)


@lru_cache(maxsize=256)
def _names_of(*names: str) -> tuple[tuple[str, ...], bytes]:
    """Return *names*, which many letters share, as they are kept, and as the checksum covers them."""
    kept = tuple(printable(name) for name in names)
    return kept, parts(*kept)


def _microseconds(when: datetime) -> int:
    # Not of other zones: there two moments are equal that are an hour apart, when clocks are put back.
    return _microseconds_in_utc(when) if when.tzinfo is UTC else microseconds(when)


_microseconds_in_utc = lru_cache(maxsize=64)(microseconds)
_moment = lru_cache(maxsize=64)(moment)
_fidelity_of = lru_cache(Fidelity)
_state_of = lru_cache(LetterState)


def _version_of(*, keep_lease: bool) -> str:
    # A letter that is moved here exactly as it is was not kept first by us, even where nobody knows by whom.
    return "" if keep_lease else installed_version()


def _number_of(when: datetime | None) -> int | None:
    return None if when is None else _microseconds(when)


def _log_of(letter: DeadLetter) -> str:
    log = _NO_FAILURES
    for failure in letter.attempts_log or ((letter.last_error,) if letter.last_error else ()):
        log = log_with(log, failure)
    return log


def letter_of(values: tuple[object, ...], now: int) -> DeadLetter:
    """Return the letter in a row of `COLUMNS`; what cannot be trusted in it becomes opaque, and says why."""
    row = Columns._make(values)
    record, origin, fidelity = _contents(row)
    failures = _later_failures(row.attempts_log)
    state = _state(row, now)
    return DeadLetter(
        id=_number(row.id),
        uid=_text(row.uid),
        pipeline_id=_text(row.pipeline_id),
        run_id=_text(row.run_id),
        stage=_text(row.stage),
        sink=_text(row.sink),
        record=record,
        origin=origin,
        error=Failure(
            type=_text(row.error_type),
            message=_text(row.error_message),
            traceback=_text(row.error_traceback),
        ),
        attempts_log=failures,
        last_error=failures[-1] if failures else None,
        first_failed_at=_moment(_number(row.first_failed_at)),
        last_failed_at=_moment(_number(row.last_failed_at)),
        attempts=_number(row.attempts),
        state=state,
        lease_until=moment(row.lease_until) if state is LetterState.LEASED else None,
        resolved_at=None if row.resolved_at is None else moment(row.resolved_at),
        replayed_run_id=_text(row.replayed_run_id),
        note=_text(row.note),
        agora_version=_text(row.agora_version),
        fidelity=fidelity,
        damage=_damage(row, record, fidelity),
    )


def damage_in(row: Row) -> str:
    """Return what is wrong with *row*, by `COLUMNS`, or an empty text: a flipped bit, an unknown codec, no JSON."""
    columns = columns_of(row)
    record, _, fidelity = _contents(columns)
    return _damage(columns, record, fidelity)


def _damage(row: Columns, record: Record, fidelity: Fidelity) -> str:
    """Return why the contents of *row* cannot be trusted, or an empty text where they can."""
    if fidelity is not Fidelity.OPAQUE or (row.fidelity == _OPAQUE and record == _described(row.record)):
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


def _origin_of(letter: DeadLetter, fidelity: Fidelity) -> tuple[str, bytes | None, Fidelity]:
    """Return how the origin is kept beside a record of such *fidelity*, and the fidelity of both.

    One that can only be described is not known any more; nor is one that lost something, beside a description, of
    which a row says nothing but that it is one.
    """
    is_described = fidelity is Fidelity.OPAQUE
    if not is_described and letter.origin is letter.record:
        return "record", None, fidelity
    if letter.origin is UNKNOWN or (is_described and letter.fidelity is Fidelity.LOSSY):
        return "unknown", None, fidelity
    origin = encode_record(letter.origin)
    if origin.fidelity is Fidelity.OPAQUE:
        return "unknown", None, fidelity
    return "kept", origin.payload, _weaker(fidelity, origin.fidelity)


def _weaker(one: Fidelity, other: Fidelity) -> Fidelity:
    return one if one is other else max(one, other, key=_WEAKNESS.index)


def _contents(row: Columns) -> tuple[Record, Record, Fidelity]:
    payload = row.record if isinstance(row.record, bytes) else b""
    if row.crc != checksum(row):
        return _unreadable(row, payload, "the row does not fit its checksum: it was changed on disk")
    if row.codec != FORMAT:
        return _unreadable(row, payload, f"the codec {_text(row.codec)[:100]!r} is not known")
    try:
        fidelity = _fidelity_of(_text(row.fidelity))
        record = json.loads(payload) if fidelity is Fidelity.OPAQUE else decode_record(payload)
        return record, _origin_in(row, UNKNOWN if fidelity is Fidelity.OPAQUE else record), fidelity
    except (NotCodableError, ValueError, RecursionError) as exc:
        return _unreadable(row, payload, str(exc))


def _origin_in(row: Columns, record: Record) -> Record:
    if row.origin_is == "record":
        return record
    if row.origin_is != "kept" or not isinstance(row.origin, bytes):
        return UNKNOWN
    try:
        return decode_record(row.origin)
    except NotCodableError:
        return UNKNOWN


def _unreadable(row: Columns, payload: bytes, reason: str) -> tuple[Record, Record, Fidelity]:
    head = payload[:_HEAD].decode("utf-8", "backslashreplace")
    shown = {"opaque": reason, "type": _text(row.type)[:_HEAD], "value": head}
    return shown, UNKNOWN, Fidelity.OPAQUE


def _state(row: Columns, now: int) -> LetterState:
    try:
        state = _state_of(_text(row.state))
    except ValueError:
        return LetterState.PARKED
    overdue = state is LetterState.LEASED and _number(row.lease_until) <= now
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
