"""The claim of the worker that owns a SQLite state store: a lock of the kernel's, which dies with its process."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Lock
from weakref import WeakMethod

from agora_core.builtin.sqlite_file import SqliteFile
from agora_core.builtin.state_rows import StateRow, decode_state, encode_state
from agora_core.spec.errors import StoreError
from agora_core.spec.state import WorkerClaim

_TRIES = 20
_PAUSE_SECONDS = 0.005
"""Who only looks has the lock for a moment, and who just got it has not written its name yet: they are waited for."""
_LONGEST = 1 << 16


class ClaimFile:
    """The lock file beside *file*, with its owner written in it. Its methods may block for a tenth of a second."""

    def __init__(self, file: SqliteFile) -> None:
        self._file = file
        self._path = file.beside("-worker")
        self._gate = Lock()
        self._handle: int | None = None
        self._mine: WorkerClaim | None = None
        self._is_guarded = False

    def claim(self, claim: WorkerClaim) -> WorkerClaim | None:
        """Take the lock for *claim*'s worker, or return the claim of the one that has it."""
        with self._gate, self._explained():
            if self._mine is not None and self._is_in_place(self._handle):
                holder: WorkerClaim | None = self._mine
            else:
                self._let_go()
                holder = self._take(claim)
            return None if holder is None or holder.worker_id == claim.worker_id else holder

    def release(self, worker_id: str | None = None) -> None:
        """Give up the lock if this store has it for that worker; without *worker_id* for whichever it is."""
        with self._gate:
            if self._mine is not None and worker_id in (None, self._mine.worker_id):
                self._let_go()

    def holder(self) -> WorkerClaim | None:
        """Return the claim of the worker that has the lock, or None."""
        with self._gate, self._explained():
            return self._mine if self._mine is not None and self._is_in_place(self._handle) else self._look()

    def _take(self, claim: WorkerClaim) -> WorkerClaim | None:
        found: WorkerClaim | None = None
        for _ in range(_TRIES):
            handle = os.open(self._path, os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            try:
                if _locks(handle, fcntl.LOCK_EX) and self._is_in_place(handle):
                    self._keep(handle, claim)
                    return None
                found = _written_in(handle)
            finally:
                if handle != self._handle:
                    os.close(handle)
            time.sleep(_PAUSE_SECONDS)
        return found or self._unnamed()

    def _keep(self, handle: int, claim: WorkerClaim) -> None:
        payload, crc = encode_state(claim)
        os.ftruncate(handle, 0)
        os.pwrite(handle, b"%08x %s\n" % (crc, payload), 0)
        self._handle, self._mine = handle, claim
        if not self._is_guarded:
            self._is_guarded = True
            forget = WeakMethod(self._forget)
            os.register_at_fork(after_in_child=lambda: (method := forget()) and method())

    def _look(self) -> WorkerClaim | None:
        found: WorkerClaim | None = None
        for _ in range(_TRIES):
            try:
                handle = os.open(self._path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            except FileNotFoundError:
                return None
            try:
                if _locks(handle, fcntl.LOCK_SH):
                    return None
                before, found = found, _written_in(handle)
            finally:
                os.close(handle)
            if found is not None and found == before:  # else it may be the name of the one before, who died
                return found
            time.sleep(_PAUSE_SECONDS)
        return found or self._unnamed()

    def _let_go(self) -> None:
        if self._handle is not None:
            with suppress(OSError):  # a full disk keeps nobody from giving up
                os.ftruncate(self._handle, 0)
        self._forget()

    def _forget(self) -> None:
        """Close the file. In a child of a fork this is all: the lock is the parent's, and must die with it."""
        if self._handle is not None:
            os.close(self._handle)
        self._handle = self._mine = None

    def _is_in_place(self, handle: int | None) -> bool:
        """Return whether the file of *handle* is still the one that others find."""
        if handle is None:
            return False
        try:
            return os.path.samestat(os.fstat(handle), self._path.lstat())
        except FileNotFoundError:
            return False

    def _unnamed(self) -> WorkerClaim:
        raise StoreError(
            f"{self._file.name} belongs to a worker that has not written its name into {str(self._path)!r}; try again"
        )

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except OSError as exc:
            raise StoreError(f"{self._file.name} cannot be claimed: {exc}; {self._file.permissions()}") from exc


def _locks(handle: int, sort: int) -> bool:
    try:
        fcntl.flock(handle, sort | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _written_in(handle: int) -> WorkerClaim | None:
    """Return the claim in the file, or None while it is being written."""
    crc, _, payload = os.pread(handle, _LONGEST, 0).rstrip(b"\n").partition(b" ")
    try:
        return decode_state(StateRow(payload, int(crc, 16)), WorkerClaim)
    except ValueError:
        return None
