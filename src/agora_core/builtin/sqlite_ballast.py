"""Room that is kept for a full disk: a file beside the store, removed when what was done could not be noted else."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic

from agora_core.builtin.sqlite_troubles import Troubles

BALLAST_BYTES = 1 << 20
_PAUSE_SECONDS = 10.0
_FULL = "full disk"

log = logging.getLogger("agora.builtin")


class Ballast:
    """The file *path*, of `BALLAST_BYTES`, for the store that is called *name*."""

    def __init__(self, path: Path, name: str, troubles: Troubles) -> None:
        self._path = path
        self._name = name
        self._troubles = troubles
        self._tried = float("-inf")

    def release(self) -> bool:
        """Give its room to the store; return whether there was any."""
        try:
            self._path.unlink()
        except OSError:
            return False
        finally:
            self._tried = monotonic()
            self.miss()
        log.error("disk of a store is full", extra={"path": str(self._path), "freed_bytes": BALLAST_BYTES})
        return True

    def miss(self) -> None:
        """Have it said that there was no room for what is new, until there is."""
        self._troubles.say(_FULL, f"the disk of {self._name} is full: what new letters need cannot be written")

    def is_gone(self) -> bool:
        """Return whether it was given away, or never made."""
        return not self._is_whole()

    def is_there(self, *, soon: bool = False) -> bool:
        """Return whether it is there, after it was made again if there is room; *soon* is not at each call."""
        if self._is_whole():
            self._troubles.forget(_FULL)
            return True
        if soon and monotonic() - self._tried < _PAUSE_SECONDS:
            return False
        self._tried = monotonic()
        # Twice the room: what another process has just given free is not taken away from it.
        if not _has_room(self._path.parent, 2 * BALLAST_BYTES) or not self._make():
            self._troubles.say(
                _FULL, f"the disk of {self._name} is full, or nearly: nothing new is kept until there is room"
            )
            return False
        self._troubles.forget(_FULL)
        return True

    def _is_whole(self) -> bool:
        try:
            return self._path.stat().st_size >= BALLAST_BYTES
        except OSError:
            return False

    def _make(self) -> bool:
        try:
            with _written(self._path) as handle:
                # Noise: zeros are nothing to a disk that packs what it is given. Synced: some disks say only then.
                remaining = memoryview(os.urandom(BALLAST_BYTES))
                while remaining:
                    remaining = remaining[os.write(handle, remaining) :]
                os.fsync(handle)
        except OSError:
            return False
        return True


@contextmanager
def _written(path: Path) -> Iterator[int]:
    """Open *path* to be written anew; when that fails, nothing of it stays."""
    handle = os.open(path, os.O_CREAT | os.O_TRUNC | os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        yield handle
    except OSError:
        path.unlink(missing_ok=True)
        raise
    finally:
        os.close(handle)


def _has_room(folder: Path, size: int) -> bool:
    try:
        known = os.statvfs(folder)
    except OSError:
        return True  # then writing it will tell
    return known.f_bavail * known.f_frsize >= size
