"""Reads a TOML file that may be anybody's: bounded in size and depth, each complaint with the file and the line."""

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISDIR, S_ISREG
from typing import Any

from agora_core.registry.toml_scan import KeyPath, TooDeepError, key_lines
from agora_core.spec.errors import ConfigError

LARGEST = 1024 * 1024
"""The most bytes that a config may have."""

_PLACE = re.compile(r" \(at (?:line (\d+), column \d+|end of document)\)$")


@dataclass(frozen=True, slots=True, kw_only=True)
class TomlFile:
    """What a file says, and where it says it."""

    path: Path
    data: dict[str, Any]
    lines: dict[KeyPath, int]
    text: str = ""

    def line(self, keys: KeyPath) -> int:
        """Return the line of the value that *keys* lead to, or of the nearest table around it."""
        for length in range(len(keys), 0, -1):
            if keys[:length] in self.lines:
                return self.lines[keys[:length]]
        return 1


def read_toml(path: Path, text: str | None = None) -> TomlFile:
    """Return the content of *path*, or raise a `ConfigError` that says what is wrong with it and where.

    Where its *text* is given, the file is not read.
    """
    text = _text(path) if text is None else text
    try:
        lines = key_lines(text)
        data = tomllib.loads(text)
    except TooDeepError as error:
        raise ConfigError(f"{path}:{error.line}: {error}") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(_syntax_error(path, text, str(error))) from None
    except (RecursionError, ValueError) as error:
        # The parser leaves to Python what Python then refuses, such as a number of 5,000 digits.
        raise ConfigError(f"{path}: not usable as TOML: {error}") from None
    return TomlFile(path=path, data=data, lines=lines, text=text)


def _text(path: Path) -> str:
    try:
        mode = path.stat().st_mode
        if S_ISDIR(mode):
            raise ConfigError(f"{path} is a directory; name the TOML file in it")
        if not S_ISREG(mode):
            raise ConfigError(f"{path} is not a regular file")
        with path.open("rb") as file:
            raw = file.read(LARGEST + 1)
    except FileNotFoundError:
        raise ConfigError(f"there is no file {str(path)!r}{_others(path)}") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ConfigError(f"{str(path)!r} cannot be read: {reason}") from None
    if len(raw) > LARGEST:
        raise ConfigError(f"{path} is larger than 1 MiB, the most that a config may be")
    if raw.startswith((b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")):
        raise ConfigError(f"{path}:1: begins with a byte order mark; save it as UTF-8 without one")
    try:
        # Lines may end in CRLF; a lone CR is left for the parser to refuse.
        return raw.decode("utf-8").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{path}:{line}: not UTF-8: {error.reason}; save it as UTF-8") from None


def _others(path: Path) -> str:
    """Return a hint at the TOML files beside *path*."""
    try:
        found = sorted(other.name for other in path.parent.glob("*.toml"))[:5]
    except OSError:
        return ""
    return f"; in {str(path.parent)!r} there is {', '.join(found)}" if found else ""


def _syntax_error(path: Path, text: str, message: str) -> str:
    place = _PLACE.search(message)
    what = message[: place.start()] if place else message
    line = int(place[1]) if place and place[1] else text.count("\n") + 1
    return f"{path}:{line}: {what[:1].lower()}{what[1:]}"
