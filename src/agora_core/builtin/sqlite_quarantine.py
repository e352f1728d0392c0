"""Puts a damaged file aside, with its log, under a name that tells when; and puts a new one into its place.

Nobody ever finds the place empty, nor the old log beside the new file: SQLite would play the one into the other. All
of it is done while nobody writes or opens the file, under the lock of `sqlite_checkpoint`.
"""

import os
import re
import shutil
import sqlite3
from contextlib import suppress
from datetime import datetime
from itertools import count
from pathlib import Path

from agora_core.builtin.folders import sync_folder
from agora_core.builtin.sqlite_errors import damaged
from agora_core.builtin.sqlite_file import Identity, SqliteFile

_COMPANIONS = ("-wal", "-shm")
_NAME = r"\.damaged-\d{8}T\d{6}Z(-\d+)?"


def set_aside(file: SqliteFile, new: Path, now: datetime) -> Path:
    """Put the file *new* into the place of *file*; return where the old one is now."""
    aside = _second_name(file, now)
    sync_folder(file.path.parent)
    for suffix in _COMPANIONS:
        with suppress(FileNotFoundError):
            file.beside(suffix).rename(_with(aside, suffix))
            _with(aside, suffix).chmod(0o600)
    # What comes next must not be on disk without what came before.
    sync_folder(file.path.parent)
    new.replace(file.path)
    sync_folder(file.path.parent)
    return aside


def undo_half(file: SqliteFile) -> None:
    """Put back what a process that died in `set_aside` has left half-done."""
    for aside in _half_aside(file):
        for suffix in _COMPANIONS:
            log, own = _with(aside, suffix), file.beside(suffix)
            if log.exists() and (not own.exists() or own.stat().st_size == 0):
                log.replace(own)
        sync_folder(file.path.parent)
        aside.unlink()  # the second of two names
        sync_folder(file.path.parent)


def connect(file: SqliteFile, *, writing: bool) -> sqlite3.Connection:
    """Return a connection as `SqliteFile.connect` does; a file without its log, half put aside, is a damaged one."""
    if _half_aside(file):
        raise damaged("it was being put aside when the process died that did so")
    return file.connect(writing=writing)


def _half_aside(file: SqliteFile) -> list[Path]:
    try:
        if file.path.stat().st_nlink == 1:  # it has no second name
            return []
    except OSError:
        return []
    return [aside for aside in all_aside(file) if aside.samefile(file.path)]


def all_aside(file: SqliteFile) -> list[Path]:
    """Return the damaged files that were put aside and not removed since, the oldest first."""
    named = re.compile(re.escape(file.path.name) + _NAME)
    try:
        return sorted(path for path in file.path.absolute().parent.iterdir() if named.fullmatch(path.name))
    except OSError:
        return []


def is_aside(file: SqliteFile, identity: Identity | None) -> bool:
    """Return whether the file that was once in this place was put aside, by whatever process."""
    if identity is None:
        return False
    for path in all_aside(file):
        with suppress(OSError):
            found = path.stat()
            if (found.st_dev, found.st_ino) == identity:
                return True
    return False


def _second_name(file: SqliteFile, now: datetime) -> Path:
    for number in count(1):
        aside = file.beside(f".damaged-{now:%Y%m%dT%H%M%SZ}{f'-{number}' if number > 1 else ''}")
        if aside.exists():
            continue
        try:
            os.link(file.path, aside)
        except FileExistsError:
            continue
        except OSError:  # a file system without hard links
            _copy(file.path, aside)
        aside.chmod(0o600)
        return aside
    raise AssertionError


def _copy(path: Path, to: Path) -> None:
    handle = os.open(to, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with open(handle, "wb") as copy, path.open("rb") as original:  # noqa: PTH123  # a handle, not a path
        shutil.copyfileobj(original, copy)
        copy.flush()
        os.fsync(copy.fileno())


def _with(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)
