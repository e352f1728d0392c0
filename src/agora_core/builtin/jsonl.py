"""JSON Lines: one record per line, read by `JsonlSource` and written by `JsonlSink`."""

import logging
from collections.abc import AsyncIterator, Callable, Sequence
from os import PathLike
from typing import Any

import msgspec

from agora_core.builtin import sink_file
from agora_core.builtin.json_text import json_lines
from agora_core.builtin.line_position import sought
from agora_core.builtin.line_reader import LineReader
from agora_core.builtin.output_file import Mode, OutputFile, checked_mode
from agora_core.builtin.own_thread import OwnThread
from agora_core.builtin.paths import file_path, uncompressed
from agora_core.builtin.source_options import OnBad, checked_encoding, checked_on_bad
from agora_core.builtin.text_lines import Line, LineFile, LongLine
from agora_core.spec.errors import ConfigError, PartialWriteError, RunError
from agora_core.spec.records import BadRecord, Position, Record

log = logging.getLogger("agora.builtin")

_LEAST_LINE_BYTES = 1 << 20


class JsonlSource:
    """Reads records from a file of JSON lines; one whose name ends in `.gz` is decompressed.

    A line that is no JSON becomes a dead letter with its text, or ends the run with `on_bad="fail"`; blank lines are
    skipped, and a last line without an end is read. It can be resumed: in a file that has grown only what is new is
    read, one that has been replaced is read from its beginning.
    """

    def __init__(
        self,
        path: str | PathLike[str],
        *,
        encoding: str = "utf-8",
        on_bad: OnBad = "dead_letter",
        max_line_bytes: int = 64 * 1024 * 1024,
    ) -> None:
        self.path = file_path(path, "a JsonlSource")
        self.encoding = checked_encoding(encoding)
        self.on_bad = checked_on_bad(on_bad)
        self.max_line_bytes = _checked_longest(max_line_bytes)
        if "\n".encode(self.encoding.removesuffix("-sig")) != b"\n":
            raise ConfigError(f"JSON lines cannot be read as {encoding}; convert the file to UTF-8")
        self._decode = _decoder(self.encoding)
        self._thread = OwnThread(f"agora-read-{self.path.name}")
        self._reader: LineReader | None = None

    async def open(self) -> None:
        """Open the file, to be read from its beginning; raise `RunError` when it cannot be."""
        await self.close()
        try:
            file = await self._thread.acquire(lambda: LineFile(self.path), LineFile.close)
        except BaseException:
            self._thread.end()
            raise
        self._read_from(file, file.start, 0)

    async def close(self) -> None:
        """Let go of the file."""
        reader, self._reader = self._reader, None
        if reader is not None:
            await self._thread.call(reader.file.close)
        self._thread.end()

    @property
    def position(self) -> Position:
        """Where the next line begins, and by what the file is known again; None before it is open."""
        return None if self._reader is None else self._reader.position

    async def resume(self, position: Position) -> None:
        """Continue at *position*, or at the beginning when the file is another one by now."""
        if self._reader is None:
            raise RunError(f"{self!r} is not open; call open() before resume()")
        file = self._reader.file
        place = await self._thread.call(sought, file, position)
        if isinstance(place, str):
            extra = {"path": str(self.path), "reason": place}
            log.warning("the checkpoint does not fit the file; reading it from its beginning", extra=extra)
            await self.open()
        else:
            self._read_from(file, *place)

    async def stream(self) -> AsyncIterator[Record]:
        """Yield the records one by one."""
        async for batch in self.batches(1):
            yield batch[0]

    async def batches(self, size: int, limit: int | None = None) -> AsyncIterator[list[Record]]:
        """Yield the records in lists of at most *size*, *limit* in all."""
        opened_here = self._reader is None
        if opened_here:
            await self.open()
        try:
            left = limit
            while left is None or left > 0:
                assert self._reader is not None
                if not await self._reader.more():
                    return
                first = self._reader.line + 1
                batch = self._records(self._reader.take(size if left is None else min(size, left)), first)
                if batch:
                    if left is not None:
                        left -= len(batch)
                    yield batch
        finally:
            if opened_here:
                await self.close()

    def __repr__(self) -> str:
        return f"JsonlSource({str(self.path)!r})"

    def _read_from(self, file: LineFile, offset: int, line: int) -> None:
        longest = self.max_line_bytes
        self._reader = LineReader(self._thread, file, offset=offset, line=line, max_line_bytes=longest)

    def _records(self, lines: Sequence[Line], first: int) -> list[Record]:
        """Return what *lines* are, of which *first* is the number of the first; blank ones are nothing."""
        records: list[Record] = []
        rest = iter(lines)
        blank = 0
        while True:
            try:
                records.extend(map(self._decode, rest))
            except (ValueError, TypeError, RecursionError):  # TypeError: it is a LongLine
                # What came before the line that is bad, or blank, was kept.
                index = len(records) + blank
                record = self._record(lines[index], first + index)
                if record is _BLANK:
                    blank += 1
                else:
                    records.append(record)
            else:
                return records

    def _record(self, line: Line, number: int) -> Record:
        if isinstance(line, LongLine):
            length = len(line) - line.tail.endswith(b"\n")
            problem = f"the line has {length:,} bytes, more than max_line_bytes={self.max_line_bytes}"
            return self._bad(line.head, f"{problem}; only its beginning is kept", number)
        text = line.removesuffix(b"\n")
        if not text.strip():
            return _BLANK
        try:
            return self._decode(text)
        except (ValueError, RecursionError) as exc:
            return self._bad(text, self._problem(text, exc), number)

    def _problem(self, text: bytes, error: Exception) -> str:
        """Return what is wrong with *text*, in the same words whatever the decoder calls a wrong encoding."""
        try:
            text.decode(self.encoding)
        except UnicodeDecodeError as exc:
            return f"not {self.encoding}: {exc.reason}"
        return f"not JSON: {error}"

    def _bad(self, text: bytes, problem: str, number: int) -> BadRecord:
        error = f"{self.path}:{number}: {problem}"
        if self.on_bad == "fail":
            raise RunError(error)
        try:
            return BadRecord(text.decode(self.encoding).removesuffix("\r"), ValueError(error))
        except UnicodeDecodeError:
            return BadRecord(text, ValueError(error))


_BLANK = object()


def _decoder(encoding: str) -> Callable[[Any], Record]:
    """Return what makes a record of a line in *encoding*."""
    decode = msgspec.json.Decoder().decode
    if encoding in ("utf-8", "utf-8-sig", "ascii"):
        return decode
    return lambda line: decode(str(line, encoding))  # of a LongLine this is a TypeError too, as above


def _checked_longest(number: Any) -> int:
    if isinstance(number, bool) or not isinstance(number, int) or number < _LEAST_LINE_BYTES:
        raise ConfigError(f"max_line_bytes must be a whole number of at least {_LEAST_LINE_BYTES}, not {number!r}")
    return number


class JsonlSink:
    """Writes records as lines of JSON.

    `append` adds to the file. `replace` writes a file beside it, which takes its place when a run has ended well.
    NaN and the infinities become null, bytes become base64, moments ISO 8601.
    """

    atomic = True
    """A batch that failed as a whole left nothing in the file."""

    def __init__(self, path: str | PathLike[str], *, mode: Mode = "append") -> None:
        self.path = uncompressed(path, "a JsonlSink")
        self.mode = checked_mode(mode)
        self.file = sink_file.SinkFile(self.path, self.mode)

    @property
    def commits_at_close(self) -> bool:
        """Whether the records count only when the file has taken its place."""
        return self.mode == "replace"

    @property
    def replaces(self) -> bool:
        """Whether the records take the place of all that was there, so that each run needs all of them."""
        return self.mode == "replace"

    async def open(self) -> None:
        """Open the file, with its directories; a last line that a crash has torn is ended."""
        await self.file.open(end_torn_line)

    async def write_batch(self, records: Sequence[Record]) -> None:
        """Write a line for each record; raise `PartialWriteError` for those that have no JSON."""
        lines, failed = json_lines(records)
        if lines:
            await self.file.write(lines, count=len(records))
        if failed:
            raise PartialWriteError(failed)

    flush = sink_file.flush
    close = sink_file.close
    abort = sink_file.abort
    __repr__ = sink_file.shown


def end_torn_line(file: OutputFile) -> None:
    """Write the line feed that the last line lacks, if it lacks one, so that no record is glued to it."""
    if file.last_byte() not in (b"", b"\n"):
        file.write(b"\n")
