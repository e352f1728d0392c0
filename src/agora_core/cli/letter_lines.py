"""Dead letters as lines of JSON: the rows of a store, their records as JSON that people read, and exactly back.

A file begins with a line that says what it is, and ends with one that says how many letters it has.
"""

import json
from collections.abc import Mapping
from typing import Any
from zlib import crc32

import msgspec

from agora_core.builtin.installed_version import installed_version
from agora_core.builtin.letter_rows import LETTER_COLUMNS, decode_letter, encode_letter
from agora_core.spec.letters import DeadLetter

FORMAT = "agora-dead-letters"
VERSION = 1
LONGEST_LINE = 64 * 1024 * 1024
"""No letter is longer: its record and its origin have 16 MiB of JSON each at most."""

_CHECKSUM = "line_crc"
_RAW = ("record", "origin")
"""The columns that hold JSON as bytes; they go into a line, and come out of it, letter by letter."""
_LOG = "attempts_log"
_KEPT = "kept"
"""What `origin_is` says where a row has the source's record too."""
_REMADE = ("id", "type")
"""What is made anew for each store."""
_LARGEST = 2**63

_raw = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ROW = [name for name in LETTER_COLUMNS if name != "id"]


class BadLineError(ValueError):
    """A line is no dead letter; the message says why."""


def header_line() -> bytes:
    """Return the line that a file begins with."""
    return _dumped({"format": FORMAT, "version": VERSION, "agora_version": installed_version()})


def end_line(letters: int) -> bytes:
    """Return the line that a file of so many *letters* ends with."""
    return _dumped({"end": FORMAT, "letters": letters})


def line_of(letter: DeadLetter) -> bytes:
    """Return *letter* as a line, without its end."""
    row = encode_letter(letter, keep_lease=True)
    parts = [b'"id":%d' % letter.id, *(b"%s:%s" % (_dumped(name), _value(name, row[name])) for name in _ROW)]
    body = b"{%s}" % b",".join(parts)
    return b'%s,"%s":%d}' % (body[:-1], _CHECKSUM.encode(), _checksum(_read(body)))


def read_line(line: bytes) -> DeadLetter | Mapping[str, Any]:
    """Return the letter in *line*, or the first or the last line of a file as it stands; raise `BadLineError`."""
    values = _read(line)
    if not isinstance(values, dict):
        raise BadLineError("it is no JSON object")
    if "format" in values or "end" in values:
        return values
    missing = [name for name in (*_ROW, _CHECKSUM) if name not in values]
    if missing:
        raise BadLineError(f"it is no dead letter: it has no {missing[0]!r}")
    checksum = values.pop(_CHECKSUM)
    if checksum != _checksum(values):
        raise BadLineError("it does not fit its checksum: it was changed")
    return _letter(line, values)


def check_header(header: Mapping[str, Any]) -> None:
    """Raise `BadLineError` when what follows *header* cannot be read."""
    if header.get("format") != FORMAT:
        raise BadLineError(f"it is no export of dead letters; agora dlq export writes one, of format {FORMAT!r}")
    if header.get("version") != VERSION:
        raise BadLineError(f"it has the version {header.get('version')!r:.100}, and this Agora reads {VERSION}")


def _letter(line: bytes, values: Mapping[str, Any]) -> DeadLetter:
    raw = _raw.decode(line)
    row: dict[str, object] = {"id": 0, **{name: values[name] for name in _ROW}}
    for name in _RAW:
        row[name] = msgspec.json.format(bytes(raw[name]), indent=-1)
    if row["origin_is"] != _KEPT:
        row["origin"] = None  # where it is kept, null is the source's record itself
    row[_LOG] = json.dumps(values[_LOG], ensure_ascii=False)
    for name, value in row.items():
        if isinstance(value, bool) or (isinstance(value, int) and not -_LARGEST <= value < _LARGEST):
            raise BadLineError(f"{name} has a value that none has: {value!r:.100}")
    letter = decode_letter(row)
    if letter.damage:
        raise BadLineError(letter.damage)
    again = encode_letter(letter, keep_lease=True)
    wrong = [name for name in _ROW if name not in _REMADE and _is_other(again[name], row[name])]
    if wrong or not letter.uid:
        name = wrong[0] if wrong else "uid"
        raise BadLineError(f"{name} has a value that none has: {values[name]!r:.100}")
    return letter


def _is_other(one: object, other: object) -> bool:
    return type(one) is not type(other) or one != other


def _value(name: str, value: object) -> bytes:
    if name in _RAW and isinstance(value, bytes):
        return value
    if name == _LOG and isinstance(value, str):
        return _dumped(json.loads(value))
    return _dumped(value)


def _read(line: bytes) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError) as exc:
        raise BadLineError(f"it is no JSON: {str(exc)[:200]}") from None


def _checksum(values: Mapping[str, Any]) -> int:
    """Return the checksum of all that a line says, however it is spelled."""
    try:
        return crc32(json.dumps(values, sort_keys=True, separators=(",", ":")).encode())
    except (ValueError, RecursionError):
        raise BadLineError("it is nested too deeply") from None


def _dumped(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "backslashreplace")
