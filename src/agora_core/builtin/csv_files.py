"""CSV: read by `CsvSource`, written by `CsvSink`."""

import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from hashlib import blake2b
from os import PathLike
from typing import Any

from agora_core.builtin import sink_file
from agora_core.builtin.csv_layout import Layout, checked_columns, checked_delimiter
from agora_core.builtin.csv_rows import CsvFile, Dialect, Rows
from agora_core.builtin.output_file import Mode, checked_mode
from agora_core.builtin.own_thread import OwnThread
from agora_core.builtin.paths import file_path, uncompressed
from agora_core.builtin.read_ahead import ReadAhead
from agora_core.builtin.source_options import OnBad, checked_encoding, checked_on_bad
from agora_core.spec.errors import PartialWriteError, RunError
from agora_core.spec.records import BadRecord, Position, Record

log = logging.getLogger("agora.builtin")


class CsvSource:
    """Reads rows as dicts of text; a file whose name ends in `.gz` is decompressed.

    The first row names the columns, unless *header* does. A row with too many or too few fields, or with broken quotes,
    becomes a dead letter with its text, or ends the run with `on_bad="fail"`; blank lines are skipped. It can be
    resumed: in a file that has grown only what is new is read, one that has been replaced is read from its beginning.
    """

    def __init__(
        self,
        path: str | PathLike[str],
        *,
        delimiter: str = ",",
        encoding: str = "utf-8",
        header: Sequence[str] = (),
        on_bad: OnBad = "dead_letter",
    ) -> None:
        self.path = file_path(path, "a CsvSource")
        columns = checked_columns(header, "header")
        encoding = checked_encoding(encoding)
        self.dialect = Dialect(delimiter=checked_delimiter(delimiter), encoding=encoding, header=columns)
        self.on_bad = checked_on_bad(on_bad)
        self._thread = OwnThread(f"agora-read-{self.path.name}")
        self._file: CsvFile | None = None
        self._ahead: ReadAhead[Rows] | None = None
        self._begin()

    async def open(self) -> None:
        """Open the file, to be read from its beginning; raise `RunError` when it cannot be."""
        await self.close()
        try:
            self._file = await self._thread.acquire(lambda: CsvFile(self.path, self.dialect), CsvFile.close)
        except BaseException:
            self._thread.end()
            raise
        self._ahead = ReadAhead(self._thread, self._file.read_rows)
        self._begin()

    async def close(self) -> None:
        """Let go of the file."""
        file, self._file = self._file, None
        if file is not None:
            await self._thread.call(file.close)
        self._thread.end()

    @property
    def position(self) -> Position:
        """How many rows were given, and the digest of their text; both *before* the last one too, if it had no end."""
        here: dict[str, Any] = {"row": self._row, "digest": self._digest.hexdigest()}
        return here if self._before is None else here | {"before": self._before}

    async def resume(self, position: Position) -> None:
        """Continue at *position*, or at the beginning when the file is another one by now."""
        if self._file is None:
            raise RunError(f"{self!r} is not open; call open() before resume()")
        before = position.get("before") if isinstance(position, Mapping) else None
        for place in (position, before):  # the last row may have been half of one, and be whole by now
            if await self._stands_at(place):
                return
            await self.open()
        log.warning(
            "the checkpoint does not fit the file; reading it from its beginning", extra={"path": str(self.path)}
        )

    async def stream(self) -> AsyncIterator[Record]:
        """Yield the records one by one."""
        async for batch in self.batches(1):
            yield batch[0]

    async def batches(self, size: int, limit: int | None = None) -> AsyncIterator[list[Record]]:
        """Yield the records in lists of at most *size*, *limit* in all."""
        opened_here = self._file is None
        if opened_here:
            await self.open()
        try:
            left = limit
            while left is None or left > 0:
                records = await self._take(size if left is None else min(size, left))
                if not records:
                    return
                if left is not None:
                    left -= len(records)
                if self.on_bad == "fail":
                    _raise_first_bad(records)
                yield records
        finally:
            if opened_here:
                await self.close()

    def __repr__(self) -> str:
        return f"CsvSource({str(self.path)!r})"

    def _begin(self) -> None:
        self._row = 0
        self._digest = blake2b(digest_size=12)
        self._before: dict[str, Any] | None = None
        self._rows = Rows()
        self._next = 0

    async def _stands_at(self, place: Position) -> bool:
        """Read up to *place*; return whether it is one of this file."""
        match place:
            case {"row": int(row), "digest": str(digest)}:
                return await self._skipped(row) and self._digest.hexdigest() == digest
            case _:
                return False

    async def _skipped(self, count: int) -> bool:
        """Read over *count* rows; return whether there were so many."""
        while self._row < count and await self._take(count - self._row):
            pass
        return self._row == count

    async def _take(self, count: int) -> list[Record]:
        """Return the next records, at most *count*, none at the end."""
        assert self._ahead is not None
        if self._next == len(self._rows):
            self._rows = await self._ahead.next()
            self._next = 0
        taken = slice(self._next, self._next + count)
        records = self._rows.records[taken]
        self._next += len(records)
        self._row += len(records)
        texts = self._rows.texts[taken]
        if texts and not texts[-1].endswith(("\n", "\r")):
            before = self._digest.copy()
            before.update(_digested(texts[:-1]))
            self._before = {"row": self._row - 1, "digest": before.hexdigest()}
        elif texts:
            self._before = None
        self._digest.update(_digested(texts))
        return records


def _digested(texts: Sequence[str]) -> bytes:
    """Return the *texts* of rows in the form that tells them again, each with one line feed behind it.

    The last row of a file may get its line end later.
    """
    text = "".join(texts)
    if "\r" in text:
        text = text.replace("\r\n", "\n")
    if "\r" in text or text.count("\n") != len(texts) or not text.endswith("\n"):  # not one line for each row
        text = "".join([each.rstrip("\r\n") + "\n" for each in texts])
    return text.encode("utf-8", "surrogatepass")


def _raise_first_bad(records: Sequence[Record]) -> None:
    for record in records:
        if isinstance(record, BadRecord):
            raise RunError(str(record.error)) from record.error


class CsvSink:
    """Writes records as rows; the first row names the columns.

    The columns are *columns*, else those of the file that is appended to, else the fields of the first record. A
    record without one of them gets an empty cell; one with a field that has no column is refused. `append` adds to the
    file. `replace` writes a file beside it, which takes its place when a run has ended well. None is an empty cell,
    lists and dicts are JSON, moments ISO 8601, bytes base64.
    """

    atomic = True
    """A batch that failed as a whole left nothing in the file."""

    def __init__(
        self,
        path: str | PathLike[str],
        *,
        mode: Mode = "append",
        columns: Sequence[str] = (),
        delimiter: str = ",",
    ) -> None:
        self.path = uncompressed(path, "a CsvSink")
        self.mode = checked_mode(mode)
        self.columns = checked_columns(columns, "columns")
        self.delimiter = checked_delimiter(delimiter)
        self.file = sink_file.SinkFile(self.path, self.mode)
        self._layout = Layout(self.delimiter, self.columns)

    @property
    def commits_at_close(self) -> bool:
        """Whether the records count only when the file has taken its place."""
        return self.mode == "replace"

    @property
    def replaces(self) -> bool:
        """Whether the records take the place of all that was there, so that each run needs all of them."""
        return self.mode == "replace"

    async def open(self) -> None:
        """Open the file, with its directories; a last row that a crash has torn is ended."""
        self._layout = Layout(self.delimiter, self.columns)
        await self.file.open(self._layout.prepare)

    async def write_batch(self, records: Sequence[Record]) -> None:
        """Write a row for each record; raise `PartialWriteError` for those that cannot be one."""
        text, failed = self._layout.rows(records)
        if text:
            await self.file.write(text, count=len(records))
            self._layout.header_is_written = True
        if failed:
            raise PartialWriteError(failed)

    flush = sink_file.flush
    close = sink_file.close
    abort = sink_file.abort
    __repr__ = sink_file.shown
