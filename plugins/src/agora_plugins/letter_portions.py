"""Letters as rows, in portions of which a server takes each as one step."""

from collections.abc import Callable, Iterable, Iterator
from typing import TypeAlias

from agora.plugins import DeadLetter

Row: TypeAlias = dict[str, object]

_LETTERS_AT_ONCE = 1000
_BYTES_AT_ONCE = 32 * 1024 * 1024


def portions(letters: Iterable[DeadLetter], row_of: Callable[[DeadLetter], Row]) -> Iterator[list[Row]]:
    """Yield the rows of *letters* in order, at most a thousand or some megabytes at a time."""
    rows: list[Row] = []
    size = 0
    for letter in letters:
        row = row_of(letter)
        rows.append(row)
        size += sum(len(value) for value in row.values() if isinstance(value, str | bytes))
        if size > _BYTES_AT_ONCE or len(rows) == _LETTERS_AT_ONCE:
            yield rows
            rows, size = [], 0
    if rows:
        yield rows
