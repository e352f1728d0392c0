"""What errors of SQLite and of the disk mean: a damaged file, a full disk, a disk that fails."""

import errno
import os
import sqlite3
from pathlib import Path
from uuid import uuid4

FORBIDDEN = (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM)
"""The errors of files that this process may not write."""

BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_EVERYBODYS = (*_DAMAGED, sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR)
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_PROBED_BYTES = 1 << 16


def code_of(error: Exception) -> int:
    """Return the primary code of SQLite's *error*, or that of an error without one."""
    return int(getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)) & 0xFF


def is_damage(error: Exception) -> bool:
    """Return whether *error* says that the file is not as SQLite has written it."""
    return isinstance(error, sqlite3.Error) and code_of(error) in _DAMAGED


def is_everybodys(error: Exception) -> bool:
    """Return whether *error* comes from the disk or the file, whatever was asked of them."""
    return isinstance(error, sqlite3.Error) and code_of(error) in _EVERYBODYS


def damaged(what: str) -> sqlite3.DatabaseError:
    """Return an error as SQLite raises it of a damaged file, for damage that it does not see itself."""
    error = sqlite3.DatabaseError(what)
    error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
    return error


def is_failing_disk(error: Exception) -> bool:
    """Return whether *error* says that the disk does not do what it is told."""
    if isinstance(error, OSError):
        return error.errno == errno.EIO
    return isinstance(error, sqlite3.Error) and code_of(error) == sqlite3.SQLITE_IOERR


def is_full(error: Exception, path: Path) -> bool:
    """Return whether *error* came since there is no room for what belongs to the file *path*."""
    if isinstance(error, OSError):
        return error.errno in _NO_ROOM
    if not isinstance(error, sqlite3.Error):
        return False
    if code_of(error) == sqlite3.SQLITE_IOERR:
        # SQLite says so of a used-up quota, a file that may not grow, and a full disk where it makes its shared memory.
        return _has_no_room(path)
    return code_of(error) == sqlite3.SQLITE_FULL


def _has_no_room(path: Path) -> bool:
    """Write a little beside *path*, since only that tells."""
    probe = path.with_name(f"{path.name}.new-{uuid4().hex}")
    try:
        handle = os.open(probe, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW, 0o600)
        try:
            os.write(handle, bytes(_PROBED_BYTES))
            os.fsync(handle)
        finally:
            os.close(handle)
            probe.unlink(missing_ok=True)
    except OSError as exc:
        return exc.errno in _NO_ROOM
    return False
