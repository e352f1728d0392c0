"""The columns of a CSV file that is written, and records as its rows."""

import csv
from base64 import b64encode
from collections.abc import Mapping, Sequence
from io import StringIO
from itertools import chain

from agora_core.builtin.fields import fields_of
from agora_core.builtin.output_file import OutputFile
from agora_core.builtin.paths import both_ways
from agora_core.builtin.scalars import scalar_of
from agora_core.spec.errors import ConfigError, RunError
from agora_core.spec.records import Record

_BOM = "\ufeff"
_HEADER_BYTES = 1 << 20
_LARGE = 64 * 1024 * 1024
_PLAIN = frozenset({str, int, float, type(None)})
"""The types whose text is the one that the csv module gives them."""


def checked_columns(columns: Sequence[str], option: str) -> tuple[str, ...]:
    """Return *columns* if they are names, each once."""
    if isinstance(columns, str) or not isinstance(columns, Sequence) or not all(isinstance(c, str) for c in columns):
        raise ConfigError(f"{option} must be a list of the columns' names, not {columns!r}")
    twice = [name for name in columns if list(columns).count(name) > 1]
    if twice:
        raise ConfigError(f"{option} has {twice[0]!r} more than once")
    return tuple(columns)


def checked_delimiter(delimiter: str) -> str:
    """Return *delimiter* if it can stand between fields."""
    if not isinstance(delimiter, str) or len(delimiter) != 1:
        raise ConfigError(f"delimiter must be one character, not {delimiter!r}")
    if delimiter in '"\r\n\0' or delimiter.encode("utf-8", "replace") == b"?":
        raise ConfigError(f"delimiter must be a character that ends no line and is no quote, not {delimiter!r}")
    return delimiter


class Layout:
    """Knows the columns once a header or a record has told them."""

    def __init__(self, delimiter: str, columns: Sequence[str]) -> None:
        self._delimiter = delimiter
        self._set(columns)
        self._lines: list[str] = []
        # The writer quotes the characters of its line end, so it has both; each row is ended by one of them only.
        self._writer = csv.writer(_Into(self._lines), delimiter=delimiter, lineterminator="\r\n")
        self.header_is_written = False

    def prepare(self, file: OutputFile) -> None:
        """Take the columns that *file* has, and end its last row where a crash has torn it."""
        if not file.size:
            return
        columns = self._read_header(file)
        if self._columns and columns != self._columns:
            theirs, ours = ", ".join(columns), ", ".join(self._columns)
            raise RunError(
                f"{both_ways(file.path)} has the columns {theirs}, not {ours}; choose another file, or mode='replace'"
            )
        self._set(columns)
        self.header_is_written = True
        end = self._missing_end(file)
        if end:
            file.write(end)

    def rows(self, records: Sequence[Record]) -> tuple[bytes, dict[int, Exception]]:
        """Return *records* as text, with a header where it is missing, and the failures by their index."""
        text = self._plain_rows(records)
        failed: dict[int, Exception] = {}
        if text is None:
            text, failed = self._careful_rows(records)
        if text and not self.header_is_written:
            text = self._text(self._columns, self._columns) + text
        return text, failed

    def _plain_rows(self, records: Sequence[Record]) -> bytes | None:
        """Return *records* as text if they are dicts that have no other fields than the columns, nor what fails."""
        if not self._columns or set(map(type, records)) != {dict}:
            return None
        if not self._known.issuperset(chain.from_iterable(records)):
            return None
        self._lines.clear()
        try:
            # Column by column, since the types of a column's values are looked at all at once.
            cells = [_cells(name, [record.get(name) for record in records]) for name in self._columns]
            self._writer.writerows(zip(*cells, strict=True))
            return "".join([line[:-2] + "\n" for line in self._lines]).encode()
        except (TypeError, ValueError):
            return None

    def _careful_rows(self, records: Sequence[Record]) -> tuple[bytes, dict[int, Exception]]:
        rows: list[bytes] = []
        failed: dict[int, Exception] = {}
        for index, record in enumerate(records):
            try:
                rows.append(self._row(fields_of(record)))
            except (TypeError, ValueError) as exc:
                failed[index] = exc
        return b"".join(rows), failed

    def _row(self, fields: Mapping[str, object]) -> bytes:
        if not self._columns:
            return self._first_row(fields)
        if not self._known.issuperset(fields):
            strangers = ", ".join(repr(name) for name in fields if name not in self._known)
            raise ValueError(f"no column for {strangers:.200}; the columns are {', '.join(self._columns):.500}")
        return self._text([_cell(name, fields.get(name)) for name in self._columns], self._columns)

    def _first_row(self, fields: Mapping[str, object]) -> bytes:
        if not fields:
            raise ValueError("the first record has no fields to take the columns from; give CsvSink(columns=[...])")
        names = list(fields)
        row = self._text([_cell(name, value) for name, value in fields.items()], names)
        self._text(names, names)  # raises where a name cannot be written
        self._set(names)
        return row

    def _text(self, cells: Sequence[object], names: Sequence[str]) -> bytes:
        self._lines.clear()
        self._writer.writerow(cells)
        text = self._lines[0].removesuffix("\r\n") + "\n"
        try:
            return text.encode()
        except UnicodeEncodeError as exc:
            culprit = next(name for name, value in zip(names, cells, strict=True) if _is_unencodable(value))
            raise ValueError(f"field {culprit!r}: its text has lone surrogates, which UTF-8 has no place for") from exc

    def _set(self, columns: Sequence[str]) -> None:
        self._columns = tuple(columns)
        self._known = frozenset(columns)

    def _read_header(self, file: OutputFile) -> tuple[str, ...]:
        head = next(file.chunks())[:_HEADER_BYTES].decode("utf-8", "replace").removeprefix(_BOM)
        try:
            header = next(csv.reader(StringIO(head, newline=""), delimiter=self._delimiter), [])
        except csv.Error as exc:
            raise RunError(f"the first row of {both_ways(file.path)} cannot be read: {exc}") from exc
        return tuple(header)

    def _missing_end(self, file: OutputFile) -> bytes:
        """Return what has to be written so that the next row stands for itself."""
        end = b"" if file.last_byte() in (b"\n", b"\r") else b"\n"
        # A crash may have left a quote open, and then all that follows would be inside it. To find out the whole file
        # is read; a large one only when its last row is certainly torn.
        if (end or file.size <= _LARGE) and sum(chunk.count(b'"') for chunk in file.chunks()) % 2:
            return b'"\n'
        return end


class _Into:
    """What the csv module takes for a file: each row is put into a list."""

    def __init__(self, lines: list[str]) -> None:
        self.write = lines.append


def _cells(name: str, values: Sequence[object]) -> Sequence[object]:
    """Return the *values* of the column *name* as the csv module takes them."""
    return values if _PLAIN.issuperset(map(type, values)) else [_cell(name, value) for value in values]


def _cell(name: str, value: object) -> object:
    plain = scalar_of(name, value)
    if isinstance(plain, bool):
        return "true" if plain else "false"
    if isinstance(plain, bytes):
        return b64encode(plain).decode()
    return plain


def _is_unencodable(value: object) -> bool:
    try:
        str(value).encode()
    except UnicodeEncodeError:
        return True
    return False
