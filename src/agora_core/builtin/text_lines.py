"""Reads a file line by line in chunks, and knows at which byte it stands. All of it blocks."""

from hashlib import blake2b
from pathlib import Path

from agora_core.builtin.input_file import BOM, CHUNK, open_input, reading

_MARK = 1024
"""So many bytes of a file's head, and of the last line before a position, tell whether it is still the same file."""


class LongLine:
    """Stands for a line that is too long to be held: its length, and how it begins and ends."""

    def __init__(self, head: bytes, length: int, tail: bytes) -> None:
        self.head = head
        self.tail = tail
        self._length = length

    def __len__(self) -> int:
        return self._length


class LineFile:
    """An open file of lines that end in a line feed; the last one may lack it."""

    def __init__(self, path: Path, *, max_line_bytes: int) -> None:
        self.path = path
        self._longest = max_line_bytes
        self._file = open_input(path)
        with reading(path):
            self.head = self._file.read(_MARK)
            self._file.seek(0)
        self.start = len(BOM) if self.head.startswith(BOM) else 0
        """Where the first line begins."""
        self.seek(self.start)

    def seek(self, offset: int) -> None:
        """Read on at *offset*."""
        with reading(self.path):
            self._file.seek(offset)
        self._pieces: list[bytes] = []
        self._held = 0
        self._long: LongLine | None = None

    def read_lines(self) -> tuple[list[bytes | LongLine], bool]:
        """Return the next lines without their ends, at least one unless it is the end, and whether it is the end."""
        lines: list[bytes | LongLine] = []
        while not lines:
            with reading(self.path):
                chunk = self._file.read(CHUNK)
            if not chunk:
                return self._last_line(), True
            first, *rest = chunk.split(b"\n")
            self._hold(first)
            if rest:
                lines = [self._release(), *rest[:-1]]
                self._hold(rest[-1])
        return lines, False

    def byte_range(self, start: int, end: int) -> bytes:
        """Return the bytes from *start* to *end*, fewer where the file is shorter; `seek` has to follow."""
        with reading(self.path):
            self._file.seek(start)
            return self._file.read(end - start)

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()

    def _hold(self, piece: bytes) -> None:
        """Keep a piece of a line whose end has not come yet; of a line that is too long only its ends."""
        self._pieces.append(piece)
        self._held += len(piece)
        if self._held > self._longest:
            known = b"".join(self._pieces)
            head = self._long.head if self._long is not None else known[:4096]
            self._long = LongLine(head, self._held, known[-_MARK:])
            self._pieces = [self._long.tail]

    def _release(self) -> bytes | LongLine:
        line = self._long if self._long is not None else b"".join(self._pieces)
        self._pieces, self._held, self._long = [], 0, None
        return line

    def _last_line(self) -> list[bytes | LongLine]:
        return [self._release()] if self._held else []


def tail_of(line: bytes | LongLine) -> bytes:
    """Return the last bytes of *line*, as `mark` takes them."""
    return line.tail if isinstance(line, LongLine) else line[-_MARK:]


def mark(head: bytes, tail: bytes) -> str:
    """Return a digest by which a file is known again that began with *head* and had *tail* right before a position."""
    return blake2b(head + b"\0" + tail, digest_size=12).hexdigest()
