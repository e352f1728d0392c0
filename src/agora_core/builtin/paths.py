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


def uncompressed(path: str | os.PathLike[str], part: str) -> Path:
    """Return *path* as `file_path` does; raise `ConfigError` when its name says that it is compressed, too."""
    found = file_path(path, part)
    if found.suffix.lower() == ".gz":
        raise ConfigError(f"{part} does not compress: write {found.stem!r}, and compress that when it is complete")
    return found


def both_ways(path: Path) -> str:
    """Return *path* as it was given, and where that is."""
    if path.is_absolute():
        return repr(str(path))
    return f"{str(path)!r} (that is {str(Path.cwd() / path)!r})"


def unusable(path: Path, doing: str, error: OSError) -> RunError:
    """Return the error for a file that the operating system refused, such as *doing* `"read"`."""
    return RunError(f"cannot {doing} {both_ways(path)}: {error.strerror or error}")
