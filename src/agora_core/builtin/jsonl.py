"""JSON Lines: one record per line, read by `JsonlSource` and written by `JsonlSink`."""

import logging
from collections.abc import AsyncIterator, Sequence
from os import PathLike
from typing import Any

import msgspec

from agora_core.builtin.json_text import json_lines
from agora_core.builtin.line_position import position_after, sought
from agora_core.builtin.output_file import Mode, OutputFile, checked_mode
from agora_core.builtin.own_thread import OwnThread
from agora_core.builtin.paths import file_path
from agora_core.builtin.sink_file import SinkFile
from agora_core.builtin.source_options import OnBad, checked_encoding, checked_on_bad
from agora_core.builtin.text_lines import LineFile, LongLine
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
        self._is_utf8 = self.encoding in ("utf-8", "utf-8-sig", "ascii")
        self._decode = msgspec.json.Decoder().decode
        self._thread = OwnThread(f"agora-read-{self.path.name}")
        self._file: LineFile | None = None
        self._begin(0)

    async def open(self) -> None:
        """Open the file, to be read from its beginning; raise `RunError` when it cannot be."""
        await self.close()
        try:
            self._file = await self._thread.acquire(self._opened, LineFile.close)
        except BaseException:
            self._thread.end()
            raise
        self._begin(self._file.start)

    async def close(self) -> None:
        """Let go of the file."""
        file, self._file = self._file, None
        if file is not None:
            await self._thread.call(file.close)
        self._thread.end()

    @property
    def position(self) -> Position:
        """Where the next line begins, and by what the file is known again; None before it is open."""
        if self._file is None:
            return None
        after = position_after(self._file, self._offset, self._line, self._last, ended=self._last_ended)
        return after.as_json()

    async def resume(self, position: Position) -> None:
        """Continue at *position*, or at the beginning when the file is another one by now."""
        file = self._file
        if file is None:
            raise RunError(f"{self!r} is not open; call open() before resume()")
        place = await self._thread.call(sought, file, position)
        if isinstance(place, str):
            extra = {"path": str(self.path), "reason": place}
            log.warning("the checkpoint does not fit the file; reading it from its beginning", extra=extra)
            await self.open()
            return
        offset, line = place
        self._begin(offset)
        self._line = line

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
                if self._next == len(self._lines) and not await self._more():
                    return
                batch = self._take(size if left is None else min(size, left))
                if batch:
                    if left is not None:
                        left -= len(batch)
                    yield batch
        finally:
            if opened_here:
                await self.close()

    def __repr__(self) -> str:
        return f"JsonlSource({str(self.path)!r})"

    def _opened(self) -> LineFile:
        return LineFile(self.path, max_line_bytes=self.max_line_bytes)

    def _begin(self, offset: int) -> None:
        self._offset = offset
        self._line = 0
        self._lines: Sequence[bytes | LongLine] = ()
        self._next = 0
        self._last: bytes | LongLine | None = None
        self._last_ended = True
        self._at_end = False

    async def _more(self) -> bool:
        assert self._file is not None
        if self._at_end:
            return False
        self._lines, self._at_end = await self._thread.call(self._file.read_lines)
        self._next = 0
        return bool(self._lines)

    def _take(self, count: int) -> list[Record]:
        """Return what the next *count* lines are, fewer where some are blank."""
        lines = self._lines[self._next : self._next + count]
        first = self._line + 1
        self._next += len(lines)
        self._line += len(lines)
        self._last = lines[-1]
        self._last_ended = not (self._at_end and self._next == len(self._lines))
        self._offset += sum(map(len, lines)) + len(lines) - (not self._last_ended)
        if self._is_utf8:
            try:
                return [self._decode(line) for line in lines]  # type: ignore[arg-type]  # a LongLine raises TypeError
            except (ValueError, TypeError, RecursionError):
                pass  # at least one is bad, or blank
        records = (self._record(line, first + index) for index, line in enumerate(lines))
        return [record for record in records if record is not _BLANK]

    def _record(self, line: bytes | LongLine, number: int) -> Record:
        if isinstance(line, LongLine):
            problem = f"the line has {len(line):,} bytes, more than max_line_bytes={self.max_line_bytes}"
            return self._bad(line.head, f"{problem}; only its beginning is kept", number)
        if not line.strip():
            return _BLANK
        try:
            return self._decode(line if self._is_utf8 else line.decode(self.encoding))
        except UnicodeDecodeError as exc:
            return self._bad(line, f"not {self.encoding}: {exc.reason}", number)
        except (ValueError, RecursionError) as exc:
            return self._bad(line, f"not JSON: {exc}", number)

    def _bad(self, line: bytes, problem: str, number: int) -> BadRecord:
        error = f"{self.path}:{number}: {problem}"
        if self.on_bad == "fail":
            raise RunError(error)
        try:
            return BadRecord(line.decode(self.encoding).removesuffix("\r"), ValueError(error))
        except UnicodeDecodeError:
            return BadRecord(line, ValueError(error))


_BLANK = object()


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
        self.path = file_path(path, "a JsonlSink")
        self.mode = checked_mode(mode)
        self._file = SinkFile(self.path, self.mode)

    @property
    def commits_at_close(self) -> bool:
        """Whether the records count only when the file has taken its place."""
        return self.mode == "replace"

    async def open(self) -> None:
        """Open the file, with its directories; a last line that a crash has torn is ended."""
        await self._file.open(end_torn_line)

    async def write_batch(self, records: Sequence[Record]) -> None:
        """Write a line for each record; raise `PartialWriteError` for those that have no JSON."""
        lines, failed = json_lines(records)
        if lines:
            await self._file.write(lines)
        if failed:
            raise PartialWriteError(failed)

    async def flush(self) -> None:
        """Return when everything is on the disk."""
        await self._file.flush()

    async def close(self) -> None:
        """End the file well."""
        await self._file.close()

    async def abort(self) -> None:
        """End the file after a failure: a replacement is thrown away."""
        await self._file.abort()

    def __repr__(self) -> str:
        return f"JsonlSink({str(self.path)!r}, mode={self.mode!r})"


def end_torn_line(file: OutputFile) -> None:
    """Write the line feed that the last line lacks, if it lacks one, so that no record is glued to it."""
    if file.last_byte() not in (b"", b"\n"):
        file.write(b"\n")
