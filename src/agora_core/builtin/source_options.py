"""The options that sources of files share."""

import codecs
from typing import Literal

from agora_core.spec.errors import ConfigError

OnBad = Literal["dead_letter", "fail"]


def checked_on_bad(on_bad: OnBad) -> OnBad:
    """Return *on_bad* if it is a word for what happens to records that cannot be understood."""
    if on_bad not in ("dead_letter", "fail"):
        raise ConfigError(f"on_bad must be 'dead_letter' or 'fail', not {on_bad!r}")
    return on_bad


def checked_encoding(encoding: str) -> str:
    """Return the name of a text encoding as Python's codecs have it; UTF-8 with a byte order mark is UTF-8 too."""
    try:
        "a".encode(encoding)
        return codecs.lookup(encoding).name
    except (LookupError, TypeError, ValueError) as exc:
        raise ConfigError(f"encoding must be the name of a text encoding such as 'utf-8', not {encoding!r}") from exc
