"""Opens a file to be read from its first byte, plain or gzip."""

import gzip
import stat
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path
from typing import BinaryIO

from agora_core.builtin.paths import both_ways, unusable
from agora_core.spec.errors import RunError

CHUNK = 256 * 1024
BOM = b"\xef\xbb\xbf"


def open_input(path: Path) -> BinaryIO:
    """Return *path* opened for reading bytes, decompressed when its name ends in `.gz`; raise `RunError` if it cannot.

    Only regular files are opened: with a pipe that may take for ever.
    """
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        raise RunError(f"there is no file {both_ways(path)}; create it, or correct the path") from None
    except OSError as exc:
        raise unusable(path, "read", exc) from exc
    if stat.S_ISDIR(mode):
        raise RunError(f"{both_ways(path)} is a directory; name a file in it")
    if not stat.S_ISREG(mode):
        raise RunError(f"{both_ways(path)} is not a regular file; copy what it gives into one")
    try:
        if path.suffix == ".gz":
            return BufferedReader(gzip.open(path, "rb"), CHUNK)
        return path.open("rb", buffering=CHUNK)
    except OSError as exc:
        raise unusable(path, "read", exc) from exc


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn what goes wrong while *path* is read into a `RunError` that names it."""
    try:
        yield
    except (EOFError, zlib.error, gzip.BadGzipFile) as exc:
        raise RunError(f"{both_ways(path)} is damaged: {exc}") from exc
    except OSError as exc:
        raise unusable(path, "read", exc) from exc
