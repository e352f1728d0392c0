"""The pages of a SQLite file as its last commit left them, read without SQLite, which refuses what is damaged."""

import os
import struct
from array import array
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

PAGE_SIZE = 8192
"""The size of the pages of a file that we have made; a damaged header need not tell."""

MAGIC = b"SQLite format 3\x00"
_LOG_HEADER = struct.Struct(">8I")
_FRAME_HEADER = struct.Struct(">6I")
_LOG_MAGICS = {0x377F0682: "little", 0x377F0683: "big"}
_WORD = 0xFFFFFFFF
_ROOT, _FREE, _CHILD = 1, 2, 5
_SORTS = range(1, 6)


class Pages:
    """The pages of *database*, over which lie those that its write-ahead *log* has committed."""

    def __init__(self, database: BinaryIO, log: BinaryIO | None) -> None:
        self._database = database
        self._log = log
        header = _read(database, 0, 100)
        self.size = _page_size(header)
        reserved = header[20] if header.startswith(MAGIC) and header[20] <= self.size - 480 else 0
        self.usable = self.size - reserved
        """How many bytes of each page SQLite uses."""
        length = os.fstat(database.fileno()).st_size
        self.count = -(-length // self.size)
        self._in_log: dict[int, int] = {}
        if log is not None:
            self._in_log, committed = _committed(log, self.size)
            self.count = committed or self.count
        self._map = _Map(self)

    def page(self, number: int) -> bytes:
        """Return the page *number*, of which the first is 1; what the file does not have of it is zeros."""
        if number in self._in_log and self._log is not None:
            return _read(self._log, self._in_log[number], self.size)
        return _read(self._database, (number - 1) * self.size, self.size)

    def in_use(self) -> Iterator[int]:
        """Return the numbers of the pages that may hold rows: first those that surely do, then those not known."""
        yield 1
        unknown = []
        for number in range(2, self.count + 1):
            sort = self._map.sort_of(number)
            if sort in (_ROOT, _CHILD):
                yield number
            elif sort == 0:
                unknown.append(number)
        yield from unknown

    def holds_rows(self, number: int) -> bool:
        """Return whether the page surely is one of a table or an index."""
        return self._map.sort_of(number) in (_ROOT, _CHILD)


class _Map:
    """What the file's own map says each page is for; a part of it that cannot be true says nothing."""

    def __init__(self, pages: Pages) -> None:
        self._pages = pages
        self._parts: dict[int, bytes] = {}

    def sort_of(self, number: int) -> int:
        """Return what *number* is for, as SQLite numbers the uses, or 0 where that is not known."""
        if number < 3:  # the first page is the schema, the second the first part of this map
            return _ROOT if number == 1 else 0
        span = self._pages.usable // 5 + 1
        place = (number - 2) // span * span + 2
        if place not in self._parts:
            self._parts = {place: self._part(place, span)}
        begin = 5 * (number - place - 1)
        part = self._parts[place]
        return part[begin] if 0 <= begin < len(part) else 0

    def _part(self, place: int, span: int) -> bytes:
        mapped = min(span - 1, self._pages.count - place)
        part = self._pages.page(place)[: 5 * mapped]
        for begin in range(0, len(part), 5):
            parent = int.from_bytes(part[begin + 1 : begin + 5])
            if part[begin] not in _SORTS or parent > self._pages.count:
                return b""
        return part


@contextmanager
def opened_pages(path: Path, log: Path) -> Iterator[Pages]:
    """Open the pages of the file *path*, whose write-ahead log is *log* if there is one."""
    with path.open("rb") as database:
        if not log.exists():
            yield Pages(database, None)
            return
        with log.open("rb") as opened:
            yield Pages(database, opened)


def _page_size(header: bytes) -> int:
    told = int.from_bytes(header[16:18])
    size = 1 << 16 if told == 1 else told
    is_one = header.startswith(MAGIC) and 512 <= size <= 1 << 16 and size & (size - 1) == 0
    return size if is_one else PAGE_SIZE


def _read(file: BinaryIO, begin: int, size: int) -> bytes:
    try:
        data = os.pread(file.fileno(), size, begin)
    except OSError:  # a disk that cannot read this part may read the others
        data = b""
    return data.ljust(size, b"\0")


def _committed(log: BinaryIO, page_size: int) -> tuple[dict[int, int], int]:
    """Return where in *log* the latest committed copy of each page is, and how many pages the last commit left."""
    header = os.pread(log.fileno(), _LOG_HEADER.size, 0)
    if len(header) < _LOG_HEADER.size:
        return {}, 0
    magic, _, size, _, *salts, first, second = _LOG_HEADER.unpack(header)
    order = _LOG_MAGICS.get(magic)
    if order is None or size != page_size or _checksum(header[:24], order, (0, 0)) != (first, second):
        return {}, 0
    places: dict[int, int] = {}
    open_places: dict[int, int] = {}
    count, place, sums = 0, _LOG_HEADER.size, (first, second)
    while len(frame := os.pread(log.fileno(), _FRAME_HEADER.size + size, place)) == _FRAME_HEADER.size + size:
        number, committed, *own_salts, first, second = _FRAME_HEADER.unpack_from(frame)
        sums = _checksum(frame[_FRAME_HEADER.size :], order, _checksum(frame[:8], order, sums))
        if own_salts != salts or sums != (first, second):
            break  # older than the last time the log was begun anew, or torn
        open_places[number] = place + _FRAME_HEADER.size
        place += len(frame)
        if committed:
            places |= open_places
            open_places, count = {}, committed
    return {number: where for number, where in places.items() if number <= count}, count


def _checksum(data: bytes, order: str, sums: tuple[int, int]) -> tuple[int, int]:
    words = array("I", data)
    if order != _NATIVE:
        words.byteswap()
    first, second = sums
    for even, odd in zip(words[::2], words[1::2], strict=True):
        first = (first + even + second) & _WORD
        second = (second + odd + first) & _WORD
    return first, second


_NATIVE = "little" if array("I", [1]).tobytes()[0] == 1 else "big"
