"""Lines of text as the csv module wants them: with their ends, which are a line feed, a carriage return or both."""

import csv
import re
from collections.abc import Callable
from io import StringIO

_END = re.compile(r"\r\n?|\n")


class HeadOfLine(str):
    """The beginning of a line that is too long to be held."""

    __slots__ = ()


class TextLines:
    """Gives the lines of a text to a csv reader, and remembers those of the record at hand.

    *read* gives the text piece after piece, none of which ends between a carriage return and its line feed, and
    nothing at the end. Of a line of *longest* characters or more only the beginning is given, as an error.
    """

    def __init__(self, read: Callable[[], str], *, longest: int) -> None:
        self._read = read
        self._longest = longest
        self._unended: list[str] = []
        """What has come of the line that has no end yet."""
        self._skips = False
        """Whether what comes belongs to a line whose beginning was given already."""
        self._lines: list[str] = []
        self._next = 0
        self.count = 0
        """How many lines were given."""
        self.taken: list[str] = []

    @property
    def are_left(self) -> bool:
        """Whether some were read and not given yet."""
        return self._next < len(self._lines)

    def more(self) -> list[str]:
        """Return what is left, or, if that is nothing, read on; nothing at the end."""
        if not self.are_left:
            self._lines, self._next = self._cut(), 0
        return self._lines[self._next :]

    def give(self, count: int) -> None:
        """Give the next *count* lines at once."""
        self._next += count
        self.count += count

    def begin(self) -> int:
        """Forget the last record; return the number of the line at which the next one begins."""
        self.taken = []
        return self.count + 1

    def __iter__(self) -> "TextLines":
        return self

    def __next__(self) -> str:
        if not self.are_left and not self.more():
            raise StopIteration
        line = self._lines[self._next]
        self.give(1)
        self.taken.append(line)
        if isinstance(line, HeadOfLine):
            raise csv.Error(f"the line has more than {self._longest:,} characters; only its beginning is kept")
        return line

    def _cut(self) -> list[str]:
        """Return the lines that end in what comes next, or at the end what is left."""
        while piece := self._read():
            if self._skips:
                piece = self._after_skipped(piece)
            if "\n" not in piece and "\r" not in piece:
                self._unended.append(piece)
                if sum(map(len, self._unended)) < self._longest:
                    continue
                self._skips = True
                return [self._head(self._released())]
            lines = _split(self._released() + piece)
            if not lines[-1].endswith(("\n", "\r")):
                self._unended.append(lines.pop())
            if len(lines[0].rstrip("\r\n")) >= self._longest:
                lines[0] = self._head(lines[0])
            return lines
        rest = self._released()
        return [rest] if rest else []

    def _after_skipped(self, piece: str) -> str:
        end = _END.search(piece)
        self._skips = end is None
        return "" if end is None else piece[end.end() :]

    def _head(self, line: str) -> HeadOfLine:
        return HeadOfLine(line[: self._longest])

    def _released(self) -> str:
        pieces, self._unended = self._unended, []
        return "".join(pieces)


def _split(text: str) -> list[str]:
    lines = text.splitlines(keepends=True)
    if len(lines) == text.count("\n") + (not text.endswith("\n")):
        return lines
    # A bare carriage return ends a line, a form feed or the like does not, whatever `splitlines` says.
    return list(StringIO(text, newline=""))
