"""The few headers of a distribution's metadata that are wanted, read without the mail parser, which costs 20 ms."""

import re
from typing import Protocol

_METADATA = ("METADATA", "PKG-INFO")


class Readable(Protocol):
    """A distribution, as far as it is read here."""

    def read_text(self, filename: str) -> str | None:
        """Return the content of one of its files, or None when it has none of that name."""


def header(found: Readable, name: str) -> str:
    """Return the header *name*, or an empty string."""
    return next(iter(headers(found, name)), "")


def headers(found: Readable, name: str) -> list[str]:
    """Return every header *name*; they end at the first empty line, where the description begins."""
    text = next((text for file in _METADATA if (text := found.read_text(file))), "")
    head = text.replace("\r\n", "\n").partition("\n\n")[0]
    return [value.strip() for value in re.findall(rf"^{name}:(.*)$", head, re.MULTILINE | re.IGNORECASE)]
