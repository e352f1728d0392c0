"""Makes a store's file, or refuses what is there: links, pipes, directories, foreign, emptied or newer files."""

import os
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from uuid import uuid4

from agora_core.builtin.folders import make_folder, sync_folder
from agora_core.builtin.sqlite_errors import damaged, is_damage, is_full
from agora_core.builtin.sqlite_file import OLDEST_SQLITE, Identity, SqliteFile
from agora_core.builtin.sqlite_migrations import migrate, version_of
from agora_core.builtin.sqlite_origin import schema_is_ours, was_ours
from agora_core.builtin.sqlite_pages import PAGE_SIZE
from agora_core.spec.errors import ConfigError

_COMPANIONS = ("", "-wal", "-shm", "-lock", "-ballast")


def prepare(file: SqliteFile, known: Identity | None = None) -> None:
    """Make sure that *file* is there and ours, or raise `ConfigError`; a foreign file is not touched.

    The file that is *known* is ours even if nothing of ours can be read in it any more.
    """
    if sqlite3.sqlite_version_info < OLDEST_SQLITE:
        oldest = ".".join(map(str, OLDEST_SQLITE))
        raise ConfigError(f"{file.name} needs SQLite {oldest} or later; this Python has {sqlite3.sqlite_version}")
    try:
        _prepare(file, known)
    except OSError as exc:
        if is_full(exc, file.path):
            raise file.full(PAGE_SIZE) from exc
        raise ConfigError(f"{file.name} cannot be used: {exc.strerror or exc}; {file.permissions()}") from exc


def bring_up_to_date(file: SqliteFile, known: Identity | None) -> None:
    """Bring *file*, which nobody may exchange meanwhile, to the version that is known here.

    Raises `ConfigError` when it is not ours, and `sqlite3.Error` when it is damaged.
    """
    if _found_version(file, known) < file.version:
        with closing(file.connect(writing=True)) as connection:
            migrate(connection, file.migrations, to=file.version, name=str(file.path))


def _prepare(file: SqliteFile, known: Identity | None) -> None:
    make_folder(file.path.parent)
    for suffix in _COMPANIONS:
        _refuse_what_is_no_file(file, file.beside(suffix))
    if not file.path.exists():
        _refuse_orphans(file)
        with drafted(file) as draft:
            _put_in_place(draft, file.path)
    elif file.path.stat().st_size == 0:
        raise ConfigError(f"{file.name} is an empty file, not a store; if nothing is missing in it, remove it")
    else:
        try:
            _found_version(file, known)
        except sqlite3.Error as exc:
            # Whoever opens it next, under a lock, finds the same, and can mend it or make room.
            if not is_damage(exc) and not is_full(exc, file.path):
                raise


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


@contextmanager
def drafted(file: SqliteFile) -> Iterator[Path]:
    """Write a whole new store under another name, to be put into place: nobody ever sees half a store."""
    draft = file.beside(f".new-{uuid4().hex}")
    # Made by us first, since SQLite would make it readable by everyone that the umask allows.
    os.close(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_NOFOLLOW, 0o600))
    try:
        with closing(sqlite3.connect(draft, isolation_level=None)) as connection:
            connection.executescript(
                f"PRAGMA page_size = {PAGE_SIZE}; PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL;"
                "PRAGMA synchronous = FULL; BEGIN IMMEDIATE;"
                f"PRAGMA application_id = {file.application_id}; PRAGMA user_version = {file.version};"
                f"{file.schema} COMMIT;"
            )
        yield draft
    except sqlite3.Error as exc:
        raise file.explain(exc, needed=PAGE_SIZE) from exc
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
    sync_folder(path.parent)


def _found_version(file: SqliteFile, known: Identity | None) -> int:
    """Return the version of a file that is ours; refuse any other one. Damage to ours is raised as SQLite tells it."""
    # Asked through SQLite: were we to open and close the file ourselves, the locks that other connections of this
    # process hold on it would be gone.
    try:
        with closing(file.connect_plainly("ro")) as connection:
            (found,) = connection.execute("PRAGMA application_id").fetchone()
            version = version_of(connection)
            is_ours = found == file.application_id or schema_is_ours(connection, file)
    except sqlite3.DatabaseError as exc:
        if is_damage(exc) and file.identity() != known and not was_ours(file):
            raise ConfigError(f"{file.name} is not a store of Agora, nor any SQLite file; choose another path") from exc
        raise
    if not is_ours:
        raise ConfigError(f"{file.name} is a SQLite file of something else; choose another path")
    if found != file.application_id:
        raise damaged("its header does not say what it is")
    if version > file.version:
        raise ConfigError(
            f"{file.name} was written by a newer Agora (format {version}; this one knows {file.version}); upgrade Agora"
        )
    return version
