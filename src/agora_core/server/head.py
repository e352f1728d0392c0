"""Measures the head of a request while it comes in."""

import re

from agora_core.server.limits import Limits

_END = re.compile(rb"\n\r?\n")


class Head:
    """Says which of the bytes that arrive belong to the request's head, and whether it grew beyond its *limits*.

    It knows lines and nothing else of HTTP; understanding them is the parser's work.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._bytes = 0
        self._lines = 0
        self._tail = b""
        self.complete = False

    def take(self, data: bytes) -> bytes:
        """Return the part of *data* that still belongs to the head."""
        if not self._lines and not self._tail:
            # Blank lines before a request are skipped, as parsers do; they count as bytes all the same.
            blank, data = len(data), data.lstrip(b"\r\n")
            self._bytes += blank - len(data)
        window = self._tail + data
        end = _END.search(window)
        part = data if end is None else data[: end.end() - len(self._tail)]
        self.complete = end is not None
        self._tail = window[-2:]
        self._bytes += len(part)
        self._lines += part.count(b"\n")
        return part

    @property
    def too_large(self) -> bool:
        """Whether there are more bytes or headers than a request may have."""
        headers = self._lines - (2 if self.complete else 1)  # the request line, and the blank one at the end
        return self._bytes > self._limits.head_bytes or headers > self._limits.headers
