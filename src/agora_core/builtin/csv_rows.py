"""Reads a CSV file record by record. All of it blocks."""

import codecs
import csv
from collections.abc import Sequence
from dataclasses import dataclass
from io import TextIOWrapper
from pathlib import Path

from agora_core.builtin.input_file import open_input, reading
from agora_core.builtin.paths import both_ways
from agora_core.spec.errors import RunError
from agora_core.spec.records import BadRecord, Record

LONGEST = 16 * 1024 * 1024
"""So many characters at most stand in one line or one field; an opened quote that is never closed ends there."""

_CHUNK_CHARACTERS = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """How a file is written."""

    delimiter: str
    encoding: str
    header: tuple[str, ...]
    """The names of the columns where the file has none in its first row."""


@dataclass(frozen=True, slots=True)
class Row:
    """One record, or what is wrong with it; and its text, by which a file is known again."""

    record: Record
    text: str


class CsvFile:
    """An open CSV file; its first row has been read."""

    def __init__(self, path: Path, dialect: Dialect) -> None:
        self.path = path
        self._dialect = dialect
        # The limit of the csv module is one for the whole process, and too low for a record with a document in it.
        csv.field_size_limit(max(LONGEST, csv.field_size_limit()))
        binary = open_input(path)
        try:
            encoding = "utf-8-sig" if dialect.encoding == "utf-8" else dialect.encoding
            # Bytes that are no text are kept as lone surrogates, so that only their own record is bad.
            text = TextIOWrapper(binary, encoding=encoding, errors="surrogateescape", newline="")
            self._lines = _Lines(text)
            self._reader = csv.reader(self._lines, delimiter=dialect.delimiter, strict=True)
            self._columns = dialect.header or self._header()
        except BaseException:
            binary.close()
            raise
        self._text = text

    def read_rows(self) -> list[Row]:
        """Return the next rows, none at the end."""
        rows: list[Row] = []
        size = 0
        with reading(self.path):
            while size < _CHUNK_CHARACTERS:
                row = self._next_row()
                if row is None:
                    break
                rows.append(row)
                size += len(row.text)
        return rows

    def close(self) -> None:
        """Let go of the file."""
        self._text.close()

    def _header(self) -> tuple[str, ...]:
        with reading(self.path):
            row = self._next_row(header=True)
        if row is None:
            return ()
        if isinstance(row.record, BadRecord):
            raise RunError(f"the first row must name the columns: {row.record.error}")
        names: list[str] = row.record
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise RunError(f"{both_ways(self.path)} has more than one column {twice[0]!r}; rename it in the first row")
        return tuple(names)

    def _next_row(self, *, header: bool = False) -> Row | None:
        while True:
            lines = self._lines
            number = lines.begin()
            problem = ""
            fields: Sequence[str] | None = None
            try:
                fields = next(self._reader, None)
            except csv.Error as exc:
                problem = str(exc)
            except UnicodeError as exc:  # from encodings that know no single bad byte, such as UTF-16
                raise RunError(f"{both_ways(self.path)} is not {self._dialect.encoding}: {exc}") from exc
            if fields is None and not problem:
                return None
            if fields or problem:  # neither: a blank line
                return self._row(fields or (), problem, number, header=header)

    def _row(self, fields: Sequence[str], problem: str, number: int, *, header: bool) -> Row:
        text = "".join(self._lines.taken)
        if not text.isascii() and _has_bad_bytes(text):
            raw = text.rstrip("\r\n").encode(codecs.lookup(self._dialect.encoding).name, "surrogateescape")
            return Row(BadRecord(raw, self._error(number, f"not {self._dialect.encoding}")), text)
        if not problem and not header and len(fields) != len(self._columns):
            problem = f"{_counted(len(fields), 'field')} where there are {_counted(len(self._columns), 'column')}"
        if problem:
            return Row(BadRecord(text.rstrip("\r\n"), self._error(number, problem)), text)
        return Row(list(fields) if header else dict(zip(self._columns, fields, strict=True)), text)

    def _error(self, number: int, problem: str) -> ValueError:
        return ValueError(f"{self.path}:{number}: {problem}")


class _Lines:
    """Gives lines to the csv reader, and remembers those of the record at hand."""

    def __init__(self, text: TextIOWrapper) -> None:
        self._text = text
        self._count = 0
        self.taken: list[str] = []

    def begin(self) -> int:
        """Forget the last record; return the number of the line at which the next one begins."""
        self.taken = []
        return self._count + 1

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        line = self._text.readline(LONGEST)
        if not line:
            raise StopIteration
        self.taken.append(line)
        self._count += 1
        if len(line) == LONGEST and not line.endswith(("\n", "\r")):
            while (rest := self._text.readline(LONGEST)) and not rest.endswith(("\n", "\r")):
                pass
            raise csv.Error(f"the line has more than {LONGEST:,} characters; only its beginning is kept")
        return line


def _has_bad_bytes(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
