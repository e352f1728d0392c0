"""Where a reader of lines stands, as a JSON value, and whether a file is still the one that it was in."""

from dataclasses import dataclass

import msgspec

from agora_core.builtin.text_lines import Line, LineFile, mark, tail_of
from agora_core.spec.records import Position


@dataclass(frozen=True, slots=True, kw_only=True)
class LinePosition:
    """A place right after a line. The mark is taken from the file's content, so that it holds for a copy too."""

    offset: int
    line: int
    """How many lines are before it."""
    head: int
    """How many of the file's first bytes the mark is of."""
    tail: int
    """How many bytes right before the offset the mark is of."""
    mark: str
    begun: int | None = None
    """Where the last line began, when it had no end yet: it may have grown since."""


def position_after(file: LineFile, offset: int, line: int, last: Line | None) -> Position:
    """Return the position at *offset*, right after the line *last*: a `LinePosition` as a JSON value."""
    head = file.head[:offset]
    tail = b"" if last is None else tail_of(last)
    return {
        "offset": offset,
        "line": line,
        "head": len(head),
        "tail": len(tail),
        "mark": mark(head, tail),
        "begun": None if last is None or tail.endswith(b"\n") else offset - len(last),
    }


def sought(file: LineFile, position: Position) -> tuple[int, int] | str:
    """Move *file* to *position*; return the offset and line where it stands then, or why it does not fit the file."""
    try:
        known = msgspec.convert(position, LinePosition)
    except msgspec.ValidationError:
        return "it is not one of this kind of source"
    head = file.byte_range(0, known.head)
    tail = file.byte_range(known.offset - known.tail, known.offset) if known.tail <= known.offset else b""
    if mark(head, tail) != known.mark:
        return "the file has other content than it had then"
    offset, line = known.offset, known.line
    if known.begun is not None and file.byte_range(offset, offset + 1) not in (b"", b"\n", b"\r"):
        offset, line = known.begun, line - 1  # the line has grown: what was read of it was not all
    file.seek(offset)
    return offset, line
