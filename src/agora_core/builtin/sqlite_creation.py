"""Makes a store's file, or refuses what is there: links, pipes, directories, foreign, emptied or newer files."""

import os
import sqlite3
import stat
from contextlib import closing
from pathlib import Path
from uuid import uuid4

from agora_core.builtin.sqlite_file import OLDEST_SQLITE, SqliteFile
from agora_core.spec.errors import ConfigError

_PAGE_SIZE = 8192
_COMPANIONS = ("", "-wal", "-shm", "-lock")


def prepare(file: SqliteFile) -> None:
    """Make sure that *file* is there and ours, or raise `ConfigError`; a foreign file is not touched."""
    if sqlite3.sqlite_version_info < OLDEST_SQLITE:
        oldest = ".".join(map(str, OLDEST_SQLITE))
        raise ConfigError(f"{file.name} needs SQLite {oldest} or later; this Python has {sqlite3.sqlite_version}")
    try:
        _prepare(file)
    except OSError as exc:
        raise ConfigError(f"{file.name} cannot be used: {exc.strerror or exc}; {file.permissions()}") from exc


def _prepare(file: SqliteFile) -> None:
    _make_folder(file.path.parent)
    for suffix in _COMPANIONS:
        _refuse_what_is_no_file(file, file.beside(suffix))
    if not file.path.exists():
        _refuse_orphans(file)
        _create(file)
    elif file.path.stat().st_size == 0:
        raise ConfigError(f"{file.name} is an empty file, not a store; if nothing is missing in it, remove it")
    _refuse_foreign(file)


def _refuse_what_is_no_file(file: SqliteFile, path: Path) -> None:
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if stat.S_ISREG(mode):
        return
    if stat.S_ISLNK(mode):
        raise ConfigError(f"{file.name} cannot be used: {str(path)!r} is a symbolic link; give the path of the file")
    what = "directory" if stat.S_ISDIR(mode) else "pipe" if stat.S_ISFIFO(mode) else "device or socket"
    raise ConfigError(f"{file.name} cannot be used: {str(path)!r} is a {what}; give the path of a file")


def _refuse_orphans(file: SqliteFile) -> None:
    """Refuse to lay a new file beside an old log: SQLite would play that log into it."""
    log = file.beside("-wal")
    if log.exists() and log.stat().st_size > 0:
        raise ConfigError(
            f"{file.name} is gone, but its log {str(log)!r} is there and may hold what was acknowledged; put the file "
            "back, or move the log away"
        )


def _create(file: SqliteFile) -> None:
    """Write a whole new store under another name, then link it into place: nobody ever sees half a store."""
    draft = file.beside(f".new-{uuid4().hex}")
    # Made by us first, since SQLite would make it readable by everyone that the umask allows.
    os.close(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_NOFOLLOW, 0o600))
    try:
        with closing(sqlite3.connect(draft, isolation_level=None)) as connection:
            connection.executescript(
                f"PRAGMA page_size = {_PAGE_SIZE}; PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL;"
                "PRAGMA synchronous = FULL; BEGIN IMMEDIATE;"
                f"PRAGMA application_id = {file.application_id}; PRAGMA user_version = {file.version};"
                f"{file.schema} COMMIT;"
            )
        _put_in_place(draft, file.path)
    except sqlite3.Error as exc:
        raise file.explain(exc, needed=_PAGE_SIZE) from exc
    finally:
        for path in (draft, *(draft.with_name(draft.name + suffix) for suffix in _COMPANIONS[1:])):
            path.unlink(missing_ok=True)


def _put_in_place(draft: Path, path: Path) -> None:
    try:
        os.link(draft, path)
    except FileExistsError:
        return  # another process was faster, and its file is as good
    except OSError:  # a file system without hard links
        draft.rename(path)
    _sync(path.parent)


def _make_folder(folder: Path) -> None:
    """Make *folder* and those above it that are missing, so that a power cut does not take them away again."""
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for made in missing:
        _sync(made.parent)


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _refuse_foreign(file: SqliteFile) -> None:
    # Asked through SQLite: were we to open and close the file ourselves, the locks that other connections of this
    # process hold on it would be gone.
    try:
        with closing(file.connect_plainly("ro")) as connection:
            (found,) = connection.execute("PRAGMA application_id").fetchone()
            (version,) = connection.execute("PRAGMA user_version").fetchone()
    except sqlite3.DatabaseError as exc:
        if exc.sqlite_errorcode & 0xFF == sqlite3.SQLITE_NOTADB:
            raise ConfigError(f"{file.name} is not a store of Agora, nor any SQLite file; choose another path") from exc
        raise
    if found != file.application_id:
        raise ConfigError(f"{file.name} is a SQLite file of something else; choose another path")
    if version > file.version:
        raise ConfigError(
            f"{file.name} was written by a newer Agora (format {version}; this one knows {file.version}); upgrade Agora"
        )
