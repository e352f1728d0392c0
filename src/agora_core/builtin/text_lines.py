"""Lines of bytes: a file of them, read in chunks, and the chunks cut into lines."""

from hashlib import blake2b
from io import BytesIO
from pathlib import Path

from agora_core.builtin.input_file import BOM, CHUNK, open_input, reading

_MARK = 1024
"""So many bytes of a file's head, and of the last line before a position, tell whether it is still the same file."""

_HEAD = 4096
"""So many bytes are kept of the beginning of a line that is too long."""


class LongLine:
    """Stands for a line that is too long to be held: its length, and how it begins and ends."""

    def __init__(self, head: bytes, length: int, tail: bytes) -> None:
        self.head = head
        self.tail = tail
        self._length = length

    def __len__(self) -> int:
        return self._length


Line = bytes | LongLine
"""With its end, a line feed, which only the last of a file may lack."""


class LineFile:
    """An open file of lines that end in a line feed; the last one may lack it. All of it blocks."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = open_input(path)
        with reading(path):
            self.head = self._file.read(_MARK)
        self.start = len(BOM) if self.head.startswith(BOM) else 0
        """Where the first line begins."""
        self.seek(self.start)

    def seek(self, offset: int) -> None:
        """Read on at *offset*."""
        with reading(self.path):
            self._file.seek(offset)

    def read(self) -> bytes:
        """Return the next chunk, nothing at the end."""
        with reading(self.path):
            return self._file.read(CHUNK)

    def byte_range(self, start: int, end: int) -> bytes:
        """Return the bytes from *start* to *end*, fewer where the file is shorter; `seek` has to follow."""
        with reading(self.path):
            self._file.seek(start)
            return self._file.read(end - start)

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()


class LineSplitter:
    """Cuts chunks into lines, and holds the line whose end has not come yet."""

    def __init__(self, *, max_line_bytes: int) -> None:
        self._longest = max_line_bytes
        self._pieces: list[bytes] = []
        self._long: LongLine | None = None
        self.held = 0
        """How many bytes have come of the line that has no end yet."""

    def split(self, chunk: bytes) -> list[Line]:
        """Return the lines that end in *chunk*."""
        pieces = BytesIO(chunk).readlines()  # looks for a byte faster than `split` does
        unended = b"" if pieces[-1].endswith(b"\n") else pieces.pop()
        lines: list[Line] = pieces  # type: ignore[assignment]  # nobody else has this list, and bytes are lines
        if self.held and pieces:
            self._hold(pieces[0])
            lines[0] = self._release()
        if unended:
            self._hold(unended)
        return lines

    def rest(self) -> list[Line]:
        """Return the last line if it has no end."""
        return [self._release()] if self.held else []

    def _hold(self, piece: bytes) -> None:
        """Keep a piece of a line; of one that is too long only its ends."""
        self._pieces.append(piece)
        self.held += len(piece)
        if self.held - piece.endswith(b"\n") > self._longest:
            known = b"".join(self._pieces)
            head = self._long.head if self._long is not None else known[:_HEAD]
            self._long = LongLine(head, self.held, known[-_MARK:])
            self._pieces = [self._long.tail]

    def _release(self) -> Line:
        line = self._long if self._long is not None else b"".join(self._pieces)
        self._pieces, self.held, self._long = [], 0, None
        return line


def tail_of(line: Line) -> bytes:
    """Return the last bytes of *line*, as `mark` takes them."""
    return line.tail if isinstance(line, LongLine) else line[-_MARK:]


def mark(head: bytes, tail: bytes) -> str:
    """Return a digest by which a file is known again that began with *head* and had *tail* right before a position."""
    return blake2b(head + b"\0" + tail, digest_size=12).hexdigest()
