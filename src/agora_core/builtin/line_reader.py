"""Gives the lines of a file some at a time, and knows where it stands."""

from collections.abc import Sequence

from agora_core.builtin.line_position import position_after
from agora_core.builtin.own_thread import OwnThread
from agora_core.builtin.read_ahead import ReadAhead
from agora_core.builtin.text_lines import Line, LineFile, LineSplitter
from agora_core.spec.records import Position


class LineReader:
    """Reads *file* in *thread*, from *offset* on, which *line* lines are before: `more`, then `take` what is there."""

    def __init__(self, thread: OwnThread, file: LineFile, *, offset: int, line: int, max_line_bytes: int) -> None:
        self.file = file
        self.line = line
        """How many lines are before the next one."""
        self._ahead = ReadAhead(thread, file.read)
        self._splitter = LineSplitter(max_line_bytes=max_line_bytes)
        self._read = offset
        """Where the chunks end that have been read."""
        self._lines: list[Line] = []
        self._end = offset
        """Where the lines at hand end."""
        self._next = 0
        self._last: Line | None = None
        self._counted = 0
        """How many of the lines at hand are before `_offset`; the rest is counted when the position is asked for."""
        self._offset = offset
        self._at_end = False

    @property
    def position(self) -> Position:
        """Where the next line begins, and by what the file is known again."""
        counted = self._lines[self._counted : self._next]
        self._offset += sum(map(len, counted))
        self._counted = self._next
        return position_after(self.file, self._offset, self.line, self._last)

    async def more(self) -> bool:
        """Return whether there are lines to take, which are read if need be."""
        while self._next == len(self._lines):
            if self._at_end:
                return False
            # What was the end when it was read ahead may have been written on since.
            chunk = await self._ahead.next() or await self._ahead.next()
            self._lines = self._splitter.split(chunk) if chunk else self._splitter.rest()
            self._read += len(chunk)
            self._offset, self._end = self._end, self._read - self._splitter.held
            self._next = self._counted = 0
            self._at_end = not chunk
        return True

    def take(self, count: int) -> Sequence[Line]:
        """Return the next *count* lines, or what is left at hand."""
        lines = self._lines[self._next : self._next + count]
        self._next += len(lines)
        self.line += len(lines)
        self._last = lines[-1]
        return lines
