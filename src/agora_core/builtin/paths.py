"""Paths of files as users give them, and errors that say which file was meant."""

import os
from pathlib import Path

from agora_core.spec.errors import ConfigError, RunError


def file_path(path: str | os.PathLike[str], part: str) -> Path:
    """Return *path* as given to *part*, or raise `ConfigError` when it is none."""
    if not isinstance(path, str | os.PathLike) or not isinstance(os.fspath(path), str) or not os.fspath(path):
        raise ConfigError(f"the path of {part} must be text or a Path, not {path!r}")
    if "\0" in os.fspath(path):
        raise ConfigError(f"the path of {part} has a NUL character in it: {os.fspath(path)!r}")
    return Path(path)


def both_ways(path: Path) -> str:
    """Return *path* as it was given, and where that is."""
    if path.is_absolute():
        return repr(str(path))
    return f"{str(path)!r} (that is {str(Path.cwd() / path)!r})"


def unusable(path: Path, doing: str, error: OSError) -> RunError:
    """Return the error for a file that the operating system refused, such as *doing* `"read"`."""
    return RunError(f"cannot {doing} {both_ways(path)}: {error.strerror or error}")
