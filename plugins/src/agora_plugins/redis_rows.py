"""Dead letters as the fields of a hash in Redis, and queries as its script reads them."""

import json
from collections.abc import Iterator, Sequence

from agora.plugins import LETTER_COLUMNS, DeadLetter, LetterQuery, LetterState, encode_letter, microseconds
from agora_plugins.letter_portions import Row, portions

FIELDS = tuple(column for column in LETTER_COLUMNS if column != "id")

_NUMBERS = ("first_failed_at", "last_failed_at", "attempts", "lease_until", "resolved_at", "crc")
_BYTES = ("record", "origin")
_MOST = 1 << 53
"""Lua's numbers are exact up to here, and no store counts so far."""


def words_in_portions(letters: Sequence[DeadLetter], *, keep_lease: bool = False) -> Iterator[list[object]]:
    """Yield the arguments that keep *letters*, in order, some megabytes at a time."""
    for rows in portions(letters, lambda letter: encode_letter(letter, keep_lease=keep_lease)):
        yield [word for row in rows for word in _words(row)]


def row_of(values: Sequence[bytes | None]) -> dict[str, object]:
    """Return the row in the *values* of `FIELDS`, behind which the letter's number stands."""
    *stored, number = values
    row = {name: _read(name, value) for name, value in zip(FIELDS, stored, strict=True)}
    return {**row, "id": int(number or 0)}


def asked(query: LetterQuery, *, after_id: str = "0") -> str:
    """Return *query* for the script, from the letter behind *after_id* on."""
    ids = sorted({number for number in query.ids if number < _MOST})
    fields = {
        "ids": ids or [-1] if query.ids else None,
        "pipeline_id": _storable(query.pipeline_id),
        "run_id": _storable(query.run_id),
        "stage": _storable(query.stage),
        "error_type": _storable(query.error_type),
        "since": None if query.since is None else str(microseconds(query.since)),
        "until": None if query.until is None else str(microseconds(query.until)),
        "resolved_before": None if query.resolved_before is None else str(microseconds(query.resolved_before)),
        "states": [state.value for state in query.states or LetterState],
        "up_to_id": None if query.up_to_id is None else str(query.up_to_id),
        "after_id": after_id,
    }
    return json.dumps({name: value for name, value in fields.items() if value is not None}, ensure_ascii=False)


def _words(row: Row) -> list[object]:
    group = json.dumps([row["pipeline_id"], row["stage"], row["error_type"]], ensure_ascii=False)
    fields = [word for item in [*row.items(), ("group", group)] if item[1] is not None for word in item]
    return [len(fields), *fields]


def _storable(text: str | None) -> str | None:
    return None if text is None else text.encode("utf-8", "backslashreplace").decode()


def _read(name: str, value: bytes | None) -> object:
    if value is None or name in _BYTES:
        return value
    if name in _NUMBERS:
        return int(value) if value.lstrip(b"-").isdigit() else 0
    return value.decode("utf-8", "backslashreplace")
