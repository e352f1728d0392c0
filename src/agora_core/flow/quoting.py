"""Takes what a redactor took out of a record out of texts that quote it: errors like to say which value was bad."""

import json
import re
from collections.abc import Collection, Iterator
from dataclasses import replace

from agora_core.flow.record_parts import parts_of
from agora_core.spec.letters import Failure
from agora_core.spec.records import Record

LEAST = 4
"""A shorter value is not looked for: it stands in every other word."""

_STARS = "***"
_MOST_VALUES = 300
_MOST_LEVELS = 200
_LONGEST = 64 * 1024
"""No text that is kept can hold a longer value."""

_WORD = re.compile(r"[^\s,;:=\"'<>(){}\[\]|&]{4,}")
_CUT = re.compile(r"\s\[cut\]\s?")


class TooMuchError(Exception):
    """There is more in a record than can be looked for in a text."""


def taken(before: Record, after: Record) -> set[str]:
    """Return the texts of the values that are in *before*, and not in the same place of *after*.

    Raises `TooMuchError` where there are too many.
    """
    found: set[str] = set()
    _compare(before, after, found, 0)
    return found


def all_values(record: Record) -> set[str]:
    """Return the texts of all values in *record*; raise `TooMuchError` where there are too many."""
    found: set[str] = set()
    _collect(record, found, 0)
    return found


def unquoted(failure: Failure, values: Collection[str] | None) -> Failure:
    """Return *failure* without *values* wherever it quotes them; None: without all that may quote something."""
    if values is None:
        return Failure(type=failure.type, message=f"{_STARS} (what it says may quote what was taken out of the record)")
    if not values:
        return failure
    return replace(failure, message=without(failure.message, values), traceback=without(failure.traceback, values))


def without(text: str, values: Collection[str]) -> str:
    """Return *text* with `***` in place of each of *values*, however it is spelled, and of what a cut left of one."""
    spans: list[tuple[int, int]] = []
    spelled = {spelling for value in values for spelling in _spellings(value) if len(spelling) >= LEAST}
    cuts = [match.span() for match in _CUT.finditer(text)]
    for spelling in spelled:
        at = text.find(spelling)
        while at >= 0:
            spans.append((at, at + len(spelling)))
            at = text.find(spelling, at + 1)
        for begin, end in cuts:
            spans += _rests_at_cut(text, begin, end, spelling)
    return _starred(text, spans)


def _starred(text: str, spans: list[tuple[int, int]]) -> str:
    """Return *text* with `***` in place of all *spans*, of those that overlap only once."""
    pieces: list[str] = []
    done = 0
    for begin, end in sorted(spans):
        if begin > done or not pieces:
            pieces += [text[done:begin], _STARS]
        done = max(done, end)
    return "".join([*pieces, text[done:]])


def _rests_at_cut(text: str, begin: int, end: int, spelling: str) -> Iterator[tuple[int, int]]:
    """Yield where a text that was cut from *begin* to *end* has the first or the last part of a value left."""
    for length in range(min(len(spelling), begin), LEAST - 1, -1):
        if text.startswith(spelling[:length], begin - length):
            yield begin - length, begin
            break
    for length in range(min(len(spelling), len(text) - end), LEAST - 1, -1):
        if text.startswith(spelling[-length:], end):
            yield end, end + length
            break


def _spellings(value: str) -> set[str]:
    """Return how an error may write *value*: as it is, without the spaces around it, as code, as JSON."""
    plain = {value, value.strip()}
    return plain | {
        spelling
        for text in plain
        for spelling in (
            repr(text)[1:-1],
            ascii(text)[1:-1],
            json.dumps(text)[1:-1],
            json.dumps(text, ensure_ascii=False)[1:-1],
            text.encode("utf-8", "backslashreplace").decode().replace("\0", "\\x00"),  # as failures are kept
        )
    }


def _compare(before: Record, after: Record, found: set[str], level: int) -> None:
    if before is after:
        return
    parts, left = parts_of(before), parts_of(after)
    if level > _MOST_LEVELS or parts is None or left is None or isinstance(before, set | frozenset):
        if parts is not None or type(before) is not type(after) or not _is_same(before, after):
            _collect(before, found, level)
        return
    for place, part in parts.items():
        if place in left:
            _compare(part, left[place], found, level + 1)
        else:
            _collect(part, found, level)


def _is_same(before: Record, after: Record) -> bool:
    try:
        return bool(before == after)
    except Exception:  # noqa: BLE001  # the user's own __eq__: then it is taken for another one
        return False


def _collect(value: Record, found: set[str], level: int) -> None:
    parts = parts_of(value)
    if level > _MOST_LEVELS or len(found) > _MOST_VALUES:
        raise TooMuchError
    if parts is not None:
        for part in parts.values():
            _collect(part, found, level + 1)
    elif value is not None and not isinstance(value, bool):
        found.update(_texts(value))


def _texts(value: Record) -> Iterator[str]:
    """Yield a value as text, and where it is one of several words, its words."""
    if isinstance(value, bytes | bytearray):
        text = bytes(value[: _LONGEST + 1]).decode("utf-8", "backslashreplace")
    else:
        text = str(value)
    if len(text) > _LONGEST:
        raise TooMuchError
    if len(text) >= LEAST:
        yield text
    words = _WORD.findall(text)
    if len(words) > 1 or words != [text]:
        yield from words
