"""Dead letters as rows of the SQLite store, and back. A row may have been damaged or forged: reading never raises."""

import json
from collections.abc import Mapping
from zlib import crc32

from agora_core.builtin.codec import FORMAT, decode_record, encode_record
from agora_core.builtin.codec_description import printable
from agora_core.builtin.codec_scalars import NotCodableError
from agora_core.builtin.sqlite_moments import microseconds, moment
from agora_core.spec.letters import UNKNOWN, DeadLetter, Failure, Fidelity, LetterState
from agora_core.spec.records import Record

COLUMNS = (
    "id", "uid", "state", "pipeline_id", "run_id", "stage", "sink", "error_type", "first_failed_at", "last_failed_at",
    "attempts", "lease_until", "codec", "type", "fidelity", "crc", "error_message", "error_traceback", "attempts_log",
    "origin_is", "record", "origin",
)  # fmt: skip
"""What is read of a row, in this order."""

KEPT_FAILURES = 10
"""How many failures of replays a row remembers, beside the first one."""

_IMMUTABLE = (
    "uid", "pipeline_id", "run_id", "stage", "sink", "error_type", "error_message", "error_traceback",
    "first_failed_at", "codec", "fidelity", "origin_is", "record", "origin",
)  # fmt: skip
_LONGEST_MESSAGE = 8192
_LONGEST_TRACEBACK = 16384
_HEAD = 4096

Row = Mapping[str, object]


def row_of(letter: DeadLetter) -> dict[str, object]:
    """Return the values of a new row for *letter*; whatever its record is, this does not fail."""
    record = encode_record(letter.record)
    fidelity = Fidelity.OPAQUE if letter.fidelity is Fidelity.OPAQUE else record.fidelity
    origin_is, origin = _origin_of(letter, fidelity)
    row: dict[str, object] = {
        # A lease belongs to the store that gave it.
        "state": (LetterState.DEAD if letter.state is LetterState.LEASED else letter.state).value,
        "uid": printable(letter.uid),
        "pipeline_id": printable(letter.pipeline_id),
        "run_id": printable(letter.run_id),
        "stage": printable(letter.stage),
        "sink": printable(letter.sink),
        "error_type": printable(letter.error.type),
        "error_message": _cut(letter.error.message, _LONGEST_MESSAGE),
        "error_traceback": _cut(letter.error.traceback, _LONGEST_TRACEBACK),
        "first_failed_at": microseconds(letter.first_failed_at),
        "last_failed_at": microseconds(letter.last_failed_at),
        "attempts": letter.attempts,
        "attempts_log": log_with("[]", letter.last_error) if letter.last_error else "[]",
        "codec": FORMAT,
        "type": record.type,
        "fidelity": fidelity.value,
        "origin_is": origin_is,
        "record": record.payload,
        "origin": origin,
    }
    return {**row, "crc": _checksum(row)}


def letter_of(values: tuple[object, ...], now: int) -> DeadLetter:
    """Return the letter in a row of `COLUMNS`; what cannot be trusted in it becomes opaque, and says why."""
    row = dict(zip(COLUMNS, values, strict=True))
    record, origin, fidelity = _contents(row)
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
        last_error=_last_failure(row["attempts_log"]),
        first_failed_at=moment(row["first_failed_at"]),
        last_failed_at=moment(row["last_failed_at"]),
        attempts=_number(row["attempts"]),
        state=_state(row, now),
        fidelity=fidelity,
    )


def log_with(log: object, failure: Failure) -> str:
    """Return the *log* of a row's later failures with one more, the oldest ones dropped."""
    new = {
        "type": printable(failure.type),
        "message": _cut(failure.message, _LONGEST_MESSAGE),
        "traceback": _cut(failure.traceback, _LONGEST_TRACEBACK),
    }
    return json.dumps([*_failures(log), new][-KEPT_FAILURES:], ensure_ascii=False)


def _origin_of(letter: DeadLetter, fidelity: Fidelity) -> tuple[str, bytes | None]:
    """Return how the origin is kept; one that cannot be kept exactly is not known any more."""
    if letter.origin is letter.record and fidelity is Fidelity.EXACT:
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
    crc = 0
    for name in _IMMUTABLE:
        value = row[name]
        part = value if isinstance(value, bytes) else str(value).encode("utf-8", "backslashreplace")
        crc = crc32(part, crc32(b"%d:" % len(part), crc))
    return crc


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


def _last_failure(log: object) -> Failure | None:
    entries = _failures(log)
    if not entries or not isinstance(entries[-1], dict):
        return None
    last = entries[-1]
    return Failure(
        type=_text(last.get("type", "")),
        message=_text(last.get("message", "")),
        traceback=_text(last.get("traceback", "")),
    )


def _cut(text: str, longest: int) -> str:
    return printable(text if len(text) <= longest else f"{text[: longest - 1]}…")


def _text(value: object) -> str:
    return value if isinstance(value, str) else "" if value is None else str(value)


def _number(value: object) -> int:
    return value if isinstance(value, int) else 0
