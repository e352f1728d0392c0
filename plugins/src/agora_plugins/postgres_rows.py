"""Dead letters as rows of the table in PostgreSQL."""

# ruff: noqa: S608  # every value is bound, and the names are ours

from collections.abc import Iterator, Sequence
from dataclasses import replace

from agora.plugins import LETTER_COLUMNS, DeadLetter, Failure, encode_letter
from agora_plugins.letter_portions import Row, portions

_NUMBERS = ("first_failed_at", "last_failed_at", "attempts", "lease_until", "resolved_at", "crc")
_BYTES = ("record", "origin")
_INSERTED = tuple(column for column in LETTER_COLUMNS if column != "id")


def rows_in_portions(letters: Sequence[DeadLetter], *, keep_lease: bool = False) -> Iterator[list[Row]]:
    """Yield the rows that keep *letters*, in order, some megabytes at a time."""
    return portions(letters, lambda letter: _row_of(letter, keep_lease=keep_lease))


def insert(table: str, rows: Sequence[Row]) -> tuple[str, list[list[object]]]:
    """Return the statement that keeps *rows* in their order, and its parameters: one array for each column."""
    arrays = ", ".join(f"${place}::{_type_of(name)}[]" for place, name in enumerate(_INSERTED, 1))
    names = ", ".join(_INSERTED)
    sql = (
        f"INSERT INTO {table} ({names}) SELECT {names} FROM unnest({arrays}) WITH ORDINALITY AS new({names}, place)"
        " ORDER BY place ON CONFLICT (uid) DO NOTHING"
    )
    return sql, [[row[name] for row in rows] for name in _INSERTED]


def storable(text: str) -> str:
    """Return *text* as PostgreSQL can keep it: it has no place for NUL, nor UTF-8 for lone surrogates."""
    return text.encode("utf-8", "backslashreplace").decode().replace("\0", "\\x00")


def _row_of(letter: DeadLetter, *, keep_lease: bool) -> Row:
    # Before the checksum is made, which is of what can be kept.
    kept = replace(
        letter,
        uid=storable(letter.uid),
        pipeline_id=storable(letter.pipeline_id),
        run_id=storable(letter.run_id),
        stage=storable(letter.stage),
        sink=storable(letter.sink),
        error=_storable(letter.error),
        replayed_run_id=storable(letter.replayed_run_id),
        note=storable(letter.note),
        agora_version=storable(letter.agora_version),
    )
    row = encode_letter(kept, keep_lease=keep_lease)
    return {**row, "type": storable(str(row["type"]))}  # of a class that anybody may have named


def _storable(failure: Failure) -> Failure:
    return Failure(
        type=storable(failure.type), message=storable(failure.message), traceback=storable(failure.traceback)
    )


def _type_of(column: str) -> str:
    return "bigint" if column in _NUMBERS else "bytea" if column in _BYTES else "text"
