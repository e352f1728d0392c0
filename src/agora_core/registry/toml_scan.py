"""Walks over a TOML text before it is parsed: refuses what would take for ever, and notes the lines of the keys.

It judges nothing else: where the text is no TOML, the parser says so.
"""

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field

KeyPath = tuple[str | int, ...]
"""Where a value stands: the keys that lead to it, and in arrays the index."""

DEEPEST_KEY = 32
DEEPEST_NESTING = 64
_DEEPEST_NOTED = 12
"""Deeper keys are not noted: paths as long as a hostile file likes would cost more than the file."""

# A string that is never closed is one token too: looked for again at each quote, it would cost the square of the text.
_TOKEN = re.compile(
    r"""
      (?P<newline>\n)
    | (?P<skip>[ \t\r]+|\#[^\n]*)
    | (?P<string>
          \"{3} (?:[^\"\\]++|\\[\s\S]|\"(?!\"\"))*+ (?:\"{3,5}|\Z)
        | '{3} [\s\S]*? (?:'{3,5}|\Z)
        | \"(?:[^\"\\\n]++|\\.)*+ \"?
        | '[^'\n]*+ '?
      )
    | (?P<mark>[\[\]{}=,.])
    | (?P<word>[^\s\[\]{}=,.\#\"']+|.)
    """,
    re.VERBOSE,
)


class TooDeepError(Exception):
    """The text nests deeper than any config needs; *line* is where."""

    def __init__(self, what: str, line: int) -> None:
        super().__init__(what)
        self.line = line


@dataclass(slots=True)
class _Level:
    """A table or an array that is open: `{`, `[`, or the table that the last header opened."""

    path: KeyPath
    array: bool = False
    index: int = 0
    in_value: bool = False
    parts: list[str] = field(default_factory=list)


def key_lines(text: str) -> dict[KeyPath, int]:
    """Return the line of each key and table header in *text*, or raise `TooDeepError`."""
    return _Scan().over(text)


class _Scan:
    """One walk; what is open is a stack of levels, the lowest of which is the current `[table]`."""

    def __init__(self) -> None:
        self.lines: dict[KeyPath, int] = {}
        self.stack = [_Level(())]
        self.counts: dict[KeyPath, int] = {}
        self.line = 1
        self.dots = 0
        self.header = 0
        """How many brackets opened the table header that the walk is in."""

    def over(self, text: str) -> dict[KeyPath, int]:
        for kind, token in _tokens(text):
            if kind == "newline":
                self._newline()
            elif kind == "mark":
                self._mark(token)
            else:
                self._text(kind, token)
            self.line += token.count("\n")
        self._newline()
        return self.lines

    def _newline(self) -> None:
        self.dots = 0
        if len(self.stack) > 1:
            return
        if self.header:
            self._open_table()
        level = self.stack[0]
        level.in_value = False
        level.parts.clear()

    def _text(self, kind: str, token: str) -> None:
        level = self.stack[-1]
        if not level.in_value and not level.array:
            level.parts.append(_unquoted(token) if kind == "string" else token)

    def _mark(self, mark: str) -> None:
        if mark == ".":
            self.dots += 1
            if self.dots >= DEEPEST_KEY:
                raise TooDeepError(f"a key has more than {DEEPEST_KEY} parts", self.line)
            return
        self.dots = 0
        level = self.stack[-1]
        if mark in "[{":
            self._open(level, mark)
        elif mark in "]}":
            if len(self.stack) > 1:
                self.stack.pop()
        elif mark == "=" and not level.array and not level.in_value:
            self._note((*level.path, *level.parts))
            level.in_value = True
        elif mark == "," and len(self.stack) > 1:
            level.index += 1
            level.in_value = False
            level.parts.clear()

    def _open(self, level: _Level, mark: str) -> None:
        if len(self.stack) == 1 and not level.in_value:
            self.header += 1
            if self.header > DEEPEST_NESTING:
                raise TooDeepError(f"brackets are nested more than {DEEPEST_NESTING} deep", self.line)
            level.parts.clear()
            return
        if len(self.stack) > DEEPEST_NESTING:
            raise TooDeepError(f"values are nested more than {DEEPEST_NESTING} deep", self.line)
        path = (*level.path, level.index) if level.array else (*level.path, *level.parts)
        path = path[: _DEEPEST_NOTED + 1]
        if mark == "{" and level.array:
            self._note(path)
        self.stack.append(_Level(path, array=mark == "["))

    def _open_table(self) -> None:
        parts = self.stack[0].parts
        path: KeyPath = ()
        for number, part in enumerate(parts, start=1):
            path = (*path, part)
            if number == len(parts) and self.header == 2:
                self.counts[path] = self.counts.get(path, -1) + 1
            if path in self.counts:
                path = (*path, self.counts[path])
        self._note(path)
        self.header = 0
        self.stack[0] = _Level(path)

    def _note(self, path: KeyPath) -> None:
        """Keep the line of *path*, and of the tables on its way that it is the first to name."""
        if len(path) > _DEEPEST_NOTED:
            return
        for length in range(len(path), 0, -1):
            if path[:length] in self.lines:
                return
            self.lines[path[:length]] = self.line


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    for match in _TOKEN.finditer(text):
        kind = match.lastgroup or ""
        if kind != "skip":
            yield kind, match.group()


def _unquoted(token: str) -> str:
    if "\\" not in token:
        return token[1:-1]
    try:
        return str(tomllib.loads(f"key = {token}")["key"])
    except ValueError:
        return token
