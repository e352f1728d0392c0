"""What the commands print: lines and tables, safe for a terminal whatever the data holds."""

import sys
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import IO

import click


def plain(text: str) -> str:
    """Return *text* with everything escaped that could steer a terminal: control and format characters, newlines."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else _escaped(char) for char in text)


def _escaped(char: str) -> str:
    number = ord(char)
    if char in "\n\r\t":
        return {"\n": "\\n", "\r": "\\r", "\t": "\\t"}[char]
    if number <= 0xFF:
        return f"\\x{number:02x}"
    return f"\\u{number:04x}" if number <= 0xFFFF else f"\\U{number:08x}"


def say(text: str = "") -> None:
    """Print *text* on standard output."""
    click.echo(_encodable(text, sys.stdout))


def complain(text: str) -> None:
    """Print *text* on standard error, where that can be written at all."""
    with suppress(OSError, ValueError):  # nobody reads it, and the exit code says it too
        click.echo(_encodable(text, sys.stderr), err=True)


def _encodable(text: str, stream: IO[str] | None) -> str:
    encoding = getattr(stream, "encoding", None) or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)


def moment(when: datetime) -> str:
    """Return *when* in UTC, to the second."""
    return when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def table(rows: Sequence[Sequence[str]], *, indent: str = "") -> list[str]:
    """Return *rows* as lines with aligned columns; the last column is as long as it is."""
    safe = [[plain(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*safe, strict=True)]
    return [
        (indent + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))).rstrip()
        for row in safe
    ]


def counted(number: int, noun: str) -> str:
    """Return *number* and its *noun*, in the plural where that is due."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def shortened(text: str, limit: int) -> str:
    """Return the first line of *text*, at most *limit* characters of it."""
    line = text.splitlines()[0] if text.strip() else text
    return line if len(line) <= limit else line[: limit - 1] + "…"
