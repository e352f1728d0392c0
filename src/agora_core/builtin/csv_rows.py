"""Reads a CSV file some rows at a time. All of it blocks."""

import codecs
import csv
from collections.abc import Sequence
from dataclasses import dataclass, field
from io import TextIOWrapper
from pathlib import Path

from agora_core.builtin.csv_lines import HeadOfLine, TextLines
from agora_core.builtin.input_file import open_input, reading
from agora_core.builtin.paths import both_ways
from agora_core.spec.errors import RunError
from agora_core.spec.records import BadRecord, Record

LONGEST = 16 * 1024 * 1024
"""So many characters at most stand in one line or one field; an opened quote that is never closed ends there."""

_PIECE = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """How a file is written."""

    delimiter: str
    encoding: str
    header: tuple[str, ...]
    """The names of the columns where the file has none in its first row."""


@dataclass(frozen=True, slots=True)
class Rows:
    """Records, or what is wrong with them; and the text of each, by which a file is known again."""

    records: list[Record] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.records)

    def add(self, record: Record, text: str) -> None:
        """Put one more at the end."""
        self.records.append(record)
        self.texts.append(text)

    def extend(self, others: "Rows") -> None:
        """Put *others* at the end."""
        self.records.extend(others.records)
        self.texts.extend(others.texts)


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
            self._text = TextIOWrapper(binary, encoding=encoding, errors="surrogateescape", newline="")
            self._ends = False
            """Whether the last piece was shorter than it was to be, so that little or nothing comes after it."""
            self._lines = TextLines(self._read, longest=LONGEST)
            self._reader = csv.reader(self._lines, delimiter=dialect.delimiter, strict=True)
            self._columns = dialect.header or self._header()
        except BaseException:
            binary.close()
            raise

    def read_rows(self) -> Rows:
        """Return the next rows, none at the end."""
        rows = Rows()
        with reading(self.path):
            while (self._ends or not rows) and (lines := self._lines.more()):
                simple = self._simple_rows(lines)
                rows.extend(self._careful_rows() if simple is None else simple)
        return rows

    def close(self) -> None:
        """Let go of the file."""
        self._text.close()

    def _read(self) -> str:
        """Return the next piece of the text, which does not end between a carriage return and its line feed."""
        try:
            piece = self._text.read(_PIECE)
            self._ends = len(piece) < _PIECE
            while piece.endswith("\r") and (following := self._text.read(1)):
                piece += following
        except UnicodeError as exc:  # from encodings that know no single bad byte, such as UTF-16
            raise RunError(f"{both_ways(self.path)} is not {self._dialect.encoding}: {exc}") from exc
        return piece

    def _header(self) -> tuple[str, ...]:
        with reading(self.path):
            parsed = self._next_fields()
        if parsed is None:
            return ()
        names, problem, number = parsed
        bad = self._unreadable("".join(self._lines.taken), problem, number)
        if bad is not None:
            raise RunError(f"the first row must name the columns: {bad.error}")
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise RunError(f"{both_ways(self.path)} has more than one column {twice[0]!r}; rename it in the first row")
        return tuple(names)

    def _simple_rows(self, lines: Sequence[str]) -> Rows | None:
        """Return the rows of *lines* where each line is one and all of it is text; else None, and give no line."""
        text = "".join(lines)
        if isinstance(lines[0], HeadOfLine) or (not text.isascii() and _has_bad_bytes(text)):
            return None
        try:
            parsed = list(csv.reader(lines, delimiter=self._dialect.delimiter, strict=True))
        except csv.Error:
            return None
        if len(parsed) != len(lines):
            return None
        first = self._lines.begin()
        self._lines.give(len(lines))
        columns = self._columns
        if set(map(len, parsed)) == {len(columns)}:
            # Not strict, which would look once more, and takes as long as the making of a dict.
            return Rows([dict(zip(columns, fields, strict=False)) for fields in parsed], [*lines])
        rows = Rows()
        for number, (fields, line) in enumerate(zip(parsed, lines, strict=True), first):
            if fields:  # else it is a blank line
                rows.add(self._record(fields, "", line, number), line)
        return rows

    def _careful_rows(self) -> Rows:
        """Return the next rows one by one, until all lines are given that were read, or enough of them."""
        rows = Rows()
        size = 0
        while size < _PIECE and (parsed := self._next_fields()) is not None:
            fields, problem, number = parsed
            text = "".join(self._lines.taken)
            # The head of a line has no end of its own, and would look like one with the row behind it.
            rows.add(self._record(fields, problem, text, number), text if text.endswith("\n") else f"{text}\n")
            size += len(text)
            if not self._lines.are_left:
                break
        return rows

    def _next_fields(self) -> tuple[list[str], str, int] | None:
        """Return the next fields, or what is wrong with them, and the number of their line; None at the end."""
        while True:
            number = self._lines.begin()
            try:
                fields = next(self._reader, None)
            except csv.Error as exc:
                return [], str(exc), number
            if fields is None:
                return None
            if fields:  # else it is a blank line
                return fields, "", number

    def _record(self, fields: Sequence[str], problem: str, text: str, number: int) -> Record:
        if not problem and len(fields) != len(self._columns):
            problem = f"{_counted(len(fields), 'field')} where there are {_counted(len(self._columns), 'column')}"
        return self._unreadable(text, problem, number) or dict(zip(self._columns, fields, strict=True))

    def _unreadable(self, text: str, problem: str, number: int) -> BadRecord | None:
        """Return what stands for a record with a *problem*, or with bytes that are no text."""
        line = text.rstrip("\r\n")
        if not text.isascii() and _has_bad_bytes(text):
            raw = line.encode(codecs.lookup(self._dialect.encoding).name, "surrogateescape")
            return BadRecord(raw, self._error(number, f"not {self._dialect.encoding}"))
        return BadRecord(line, self._error(number, problem)) if problem else None

    def _error(self, number: int, problem: str) -> ValueError:
        return ValueError(f"{self.path}:{number}: {problem}")


def _has_bad_bytes(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
