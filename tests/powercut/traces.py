"""The trace of what processes did to a folder, as the shim `trace.c` wrote it."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from posixpath import normpath

_HEAD = struct.Struct("<cIIQI")


class Kind(Enum):
    """What was done."""

    OPEN = b"o"
    CLOSE = b"c"
    WRITE = b"w"
    RESIZE = b"t"
    ALLOCATE = b"a"
    SYNC = b"s"
    MAP = b"m"
    """The file is written through memory from here on, which no trace shows."""
    LINK = b"l"
    RENAME = b"r"
    REMOVE = b"u"
    MAKE_FOLDER = b"d"
    NOTE = b"n"
    """Nothing was done: the program says what it knows."""
    UNKNOWN = b"?"
    """Something that the simulator has no rule for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One thing that was done, and succeeded."""

    kind: Kind
    process: int = 0
    handle: int = 0
    """Which of its open files the process used; never given twice."""
    number: int = 0
    """The offset of a write, the length that a file was given, the flags of an open."""
    payload: bytes = b""
    """What was written or noted, or the path, or two paths with a NUL between them."""

    @property
    def paths(self) -> tuple[str, str]:
        """The paths that it is about, relative to the root; an empty second one when there is but one."""
        first, _, second = self.payload.decode().partition("\0")
        return _plain(first), _plain(second)


def _plain(path: str) -> str:
    return "" if path == "" else normpath(path).removeprefix(".")


def operations(trace: Path) -> Iterator[Operation]:
    """Return what the file *trace* says, in order; raise `ValueError` when it ends in the middle of something."""
    data = memoryview(trace.read_bytes())
    at = 0
    while at < len(data):
        if len(data) - at < _HEAD.size:
            raise ValueError("the trace ends in the middle of a record")
        kind, process, handle, number, length = _HEAD.unpack_from(data, at)
        at += _HEAD.size
        if len(data) - at < length:
            raise ValueError("the trace ends in the middle of a record")
        payload = bytes(data[at : at + length])
        at += length
        yield Operation(kind=Kind(kind), process=process, handle=handle, number=number, payload=payload)
