"""What is saved of a damaged state file: rows that fit their checksums. Requests are not: whoever asked asks again."""

from collections.abc import Callable, Mapping
from functools import partial
from zlib import crc32

from agora_core.builtin.sqlite_salvage import SavedTable

_Row = Mapping[str, object]


def _is_number(value: object) -> bool:
    return type(value) is int


def _is_number_or_null(value: object) -> bool:
    return value is None or type(value) is int


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _mended(payload: str, looks: Mapping[str, Callable[[object], bool]], row: _Row) -> tuple[_Row, bool] | None:
    """Return *row* if it is as it was written: a wrong position would pass records over, a wrong memory slots."""
    content = row[payload]
    is_whole = isinstance(content, bytes) and crc32(content) == row["crc"]
    return (row, True) if is_whole and all(fits(row[name]) for name, fits in looks.items()) else None


def _table(name: str, payload: str, **looks: Callable[[object], bool]) -> SavedTable:
    return SavedTable(name=name, mend=partial(_mended, payload, looks))


SAVED = (
    _table("checkpoints", "position", pipeline_id=_is_text, saved_at=_is_number),
    _table("memories", "memory", pipeline_id=_is_text),
    _table(
        "runs",
        "run",
        id=_is_text,
        pipeline_id=_is_text,
        started_at=_is_number,
        number=_is_number,
        outcome=lambda value: value is None or isinstance(value, str),
        ended_at=_is_number_or_null,
    ),
    _table("decisions", "decision", pipeline_id=_is_text, at=_is_number),
)
"""The tables of which rows are worth saving."""
