"""Rows and index entries, taken out of the pages of a SQLite file without SQLite. Nothing here trusts what it reads."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

from agora_core.builtin.sqlite_pages import Pages

Value: TypeAlias = int | float | str | bytes | None

_TABLE_LEAF, _INDEX_LEAF, _INDEX_INNER, _TABLE_INNER = 0x0D, 0x0A, 0x02, 0x05
_SIZES = (0, 1, 2, 3, 4, 6, 8, 8, 0, 0)
_REAL = 7
_RESERVED = (10, 11)
_TEXTS = 13
"""From here on odd numbers are texts and even ones bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One row of a table, or one entry of an index, which has no *rowid* but ends with that of its row."""

    rowid: int | None
    values: tuple[Value, ...]


class UnreadableError(Exception):
    """What stands in a page is no cell."""


def cells(pages: Pages, number: int) -> Iterator[Cell | None]:
    """Return what the page *number* holds, None for each part of it that cannot be read."""
    page = pages.page(number)
    head = 100 if number == 1 else 0
    sort = page[head]
    if sort not in (_TABLE_LEAF, _INDEX_LEAF, _INDEX_INNER):
        # The inner pages of a table have no rows.
        if sort != _TABLE_INNER and pages.holds_rows(number):
            yield None
        return
    first = head + (12 if sort == _INDEX_INNER else 8)
    count = int.from_bytes(page[head + 3 : head + 5])
    for at in range(first, min(first + 2 * count, pages.usable - 1), 2):
        try:
            yield _cell(pages, page, sort, int.from_bytes(page[at : at + 2]))
        except (UnreadableError, IndexError):
            yield None


def _cell(pages: Pages, page: bytes, sort: int, at: int) -> Cell:
    if sort == _INDEX_INNER:
        at += 4
    size, at = _number(page, at)
    rowid = None
    if sort == _TABLE_LEAF:
        rowid, at = _number(page, at)
        rowid -= (rowid >> 63) << 64
    if size > pages.count * pages.size:
        raise UnreadableError
    return Cell(rowid=rowid, values=_values(_payload(pages, page, at, size, is_row=sort == _TABLE_LEAF)))


def _payload(pages: Pages, page: bytes, at: int, size: int, *, is_row: bool) -> bytes:
    """Return the *size* bytes that begin here and go on in pages of their own; what is missing of them is zeros."""
    usable = pages.usable
    most = usable - 35 if is_row else (usable - 12) * 64 // 255 - 23
    if size <= most:
        return page[at : at + size]
    least = (usable - 12) * 32 // 255 - 23
    here = least + (size - least) % (usable - 4)
    if here > most:
        here = least
    parts, found = [page[at : at + here]], here
    following = int.from_bytes(page[at + here : at + here + 4])
    while found < size and 1 < following <= pages.count:
        more = pages.page(following)
        parts.append(more[4:usable])
        found += usable - 4
        following = int.from_bytes(more[:4])
    return b"".join(parts)[:size].ljust(size, b"\0")


def _values(payload: bytes) -> tuple[Value, ...]:
    head, at = _number(payload, 0)
    values: list[Value] = []
    place = head
    while at < head:
        sort, at = _number(payload, at)
        size = _SIZES[sort] if sort < len(_SIZES) else (sort - 12) // 2
        if sort in _RESERVED or place + size > len(payload):
            raise UnreadableError
        values.append(_value(sort, payload[place : place + size]))
        place += size
    if place != len(payload) or at != head:
        raise UnreadableError
    return tuple(values)


def _value(sort: int, data: bytes) -> Value:
    if sort == 0:
        return None
    if sort >= _TEXTS - 1:
        return data.decode("utf-8", "backslashreplace") if sort % 2 else data
    if sort == _REAL:
        real: float = struct.unpack(">d", data)[0]
        return real
    return int.from_bytes(data, signed=True) if data else sort - 8


def _number(data: bytes, at: int) -> tuple[int, int]:
    """Return the number that begins at *at*, in one to nine bytes, and where it ends."""
    number = 0
    for place in range(at, at + 8):
        byte = data[place]
        number = number << 7 | byte & 0x7F
        if byte < 0x80:
            return number, place + 1
    return number << 8 | data[at + 8], at + 9
