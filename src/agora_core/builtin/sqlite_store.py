"""A SQLite file as the stores use it: opened and closed by count, written by one thread, read by another."""

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from threading import Lock, Thread
from typing import Any, TypeVar
from uuid import uuid4

from agora_core.builtin.sqlite_ballast import Ballast
from agora_core.builtin.sqlite_checkpoint import CheckpointLock
from agora_core.builtin.sqlite_creation import bring_up_to_date, prepare
from agora_core.builtin.sqlite_errors import FORBIDDEN, code_of, is_damage, is_full
from agora_core.builtin.sqlite_file import Identity, SqliteFile
from agora_core.builtin.sqlite_owners import claim, leave
from agora_core.builtin.sqlite_quarantine import connect
from agora_core.builtin.sqlite_reader import SqliteReader
from agora_core.builtin.sqlite_rescue import Rescuer
from agora_core.builtin.sqlite_transaction import Job, Work, weightless
from agora_core.builtin.sqlite_troubles import Troubles
from agora_core.builtin.sqlite_writer import SqliteWriter
from agora_core.spec.errors import AgoraError, ConfigError, StoreError
from agora_core.spec.numbers import finite_number

T = TypeVar("T")

_LONGEST_BUSY_TIMEOUT = 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class _Opened:
    """All that is held between the first open and the last close."""

    key: str
    lock: CheckpointLock
    writer: SqliteWriter
    reader: SqliteReader
    reading: ThreadPoolExecutor


class SqliteStore:
    """One file, shared by all who open it; bound to no event loop."""

    def __init__(self, file: SqliteFile) -> None:
        self._file = file
        self._troubles = Troubles()
        self._ballast = Ballast(file.beside("-ballast"), file.name, self._troubles)
        self._rescuer = Rescuer(file)
        self._gate = Lock()
        self._opens = 0
        self._opened: _Opened | None = None

    async def open(self) -> None:
        """Check, make and open the file at the first call; count the others."""
        opening = _Errand(self._open)
        try:
            await opening.ended()
        except asyncio.CancelledError:
            # The thread cannot be cancelled. What it opened after all, nobody else would close.
            if not opening.failed:
                await _Errand(self._close).ended()
            raise

    async def close(self) -> None:
        """Write what still waits and let go of everything at the last call; a call too many does nothing."""
        await _Errand(self._close).ended()

    async def write(
        self, work: Work, *, prepare: Callable[[], int] = weightless, is_new: bool = False
    ) -> Any:  # whatever *work* returns
        """Do *work* in a transaction, *prepare* before it, and return what *work* did once that is on disk.

        On a full disk what *is_new* is refused, so that the marks of what was done can still be written.
        """
        return await self._held().writer.write(Job(work=work, prepare=prepare, is_new=is_new))

    async def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Do *work*, which sees the file as it is at one moment, on the reading thread."""
        held = self._held()
        return await self.aside(lambda: held.reader.look(work))

    async def aside(self, work: Callable[[], T]) -> T:
        """Do *work* on the reading thread."""
        try:
            # Asked by the loop, which may have a time of its own, and lets none pass until this is done.
            waiter = asyncio.get_running_loop().run_in_executor(self._held().reading, work)
        except RuntimeError as exc:  # closed meanwhile, or no thread left
            raise StoreError(f"{self._file.name} cannot be read: {exc}") from exc
        return await waiter

    async def troubles(self) -> Sequence[str]:
        """Return what the file and its disk suffer from while the store goes on, a sentence each."""
        return await self.aside(self._told)

    @property
    def commits(self) -> int:
        """How many transactions were written since the first open."""
        return self._held().writer.commits

    def _held(self) -> _Opened:
        if self._opened is None:
            raise StoreError(f"{self._file.name} is not open; await its open() first")
        return self._opened

    def _told(self) -> tuple[str, ...]:
        if self._ballast.is_gone():
            self._ballast.is_there(soon=True)
        return (*self._troubles.told(), *self._rescuer.sentences())

    def _open(self) -> None:
        with self._gate:
            if self._opens == 0:
                self._opened = self._acquire()
            self._opens += 1

    def _acquire(self) -> _Opened:
        finite_number("busy_timeout_seconds", self._file.busy_timeout_seconds, least=0, most=_LONGEST_BUSY_TIMEOUT)
        key = uuid4().hex
        try:
            prepare(self._file, self._rescuer.known)
            with ExitStack() as held:
                lock = CheckpointLock(self._file)
                held.callback(lock.close)
                connection, reader = self._connections(lock, key, held)
                self._ballast.is_there()
                writer = SqliteWriter(self._file, connection, lock, self._ballast, self._rescuer)
                writer.start()
                held.pop_all()
        except (sqlite3.Error, OSError) as exc:
            raise self._refusal(exc) from exc
        self._rescuer.warn()
        reading = ThreadPoolExecutor(max_workers=1, thread_name_prefix=f"agora reads {self._file.path.name}")
        return _Opened(key=key, lock=lock, writer=writer, reader=reader, reading=reading)

    def _connections(self, lock: CheckpointLock, key: str, held: ExitStack) -> tuple[sqlite3.Connection, SqliteReader]:
        """Return what writes and what reads, closed by *held*; a full disk and a damaged file get another try each."""
        is_mended, is_owner = False, True
        while True:
            with ExitStack() as stack:
                try:
                    with lock.writing():
                        identity = self._file.identity()
                        connection, reader = self._connect(key if is_owner else "", stack)
                except (sqlite3.Error, OSError) as exc:
                    stack.close()
                    if is_full(exc, self._file.path) and is_owner:
                        # The row of the owner is for messages only: without a ballast, one can do without it.
                        is_owner = self._ballast.release()
                        continue
                    if not is_damage(exc) or is_mended:
                        raise
                    is_mended = True
                    self._mend(identity)
                else:
                    self._rescuer.known = identity
                    held.push(stack.pop_all())
                    return connection, reader

    def _connect(self, key: str, stack: ExitStack) -> tuple[sqlite3.Connection, SqliteReader]:
        bring_up_to_date(self._file, self._rescuer.known)
        connection = connect(self._file, writing=True)
        stack.callback(connection.close)
        if key:
            claim(connection, key)  # a true write, so that a store that cannot be written is refused now
        reader = SqliteReader(self._file, connect(self._file, writing=False), self._rescuer)
        stack.callback(reader.close)
        return connection, reader

    def _mend(self, identity: Identity | None) -> None:
        try:
            self._rescuer.rescue(identity)
        except (sqlite3.Error, OSError, AgoraError) as exc:
            raise self._file.unmended(exc) from exc

    def _refusal(self, error: Exception) -> Exception:
        """Return *error* for someone who has only just asked for the store: permissions are theirs to mend."""
        if is_full(error, self._file.path):
            return self._file.full(0)
        if isinstance(error, OSError) or code_of(error) in FORBIDDEN:
            return ConfigError(f"{self._file.name} cannot be written: {error}; {self._file.permissions()}")
        return self._file.explain(error)

    def _close(self) -> None:
        with self._gate:
            self._opens = max(self._opens - 1, 0)
            if self._opens > 0 or self._opened is None:
                return
            held, self._opened = self._opened, None
            held.reading.shutdown(wait=True)
            held.reader.close()
            connection = held.writer.stop()
            if connection is not None:
                with held.lock.alone():
                    leave(connection, held.key)
                    connection.close()
            held.lock.close()


class _BriefThread(Thread):
    """A thread that somebody waits for, and that ends by itself."""

    is_at_work = True
    """Virtual time stands still until it has ended."""


class _Errand:
    """Something done on a thread of its own: those of the loop may all be busy with the user's blocking calls."""

    def __init__(self, work: Callable[[], None]) -> None:
        self._work = work
        self._done: Future[None] = Future()
        self._thread = _BriefThread(target=self._run, name="agora opens or closes a store", daemon=True)
        self.failed = False

    async def ended(self) -> None:
        """Do it and wait for its end, whatever happens: a cancellation meanwhile is raised then."""
        try:
            self._thread.start()
        except RuntimeError as exc:
            raise StoreError(f"a store cannot be opened or closed: {exc}") from exc
        waiter = asyncio.wrap_future(self._done)
        cancelled: asyncio.CancelledError | None = None
        while not waiter.done():
            try:
                await asyncio.wait({waiter})
            except asyncio.CancelledError as exc:
                cancelled = exc
        self._thread.join()  # it has nothing left to do
        error = waiter.exception()
        if cancelled is not None:
            raise cancelled
        if error is not None:
            raise error

    def _run(self) -> None:
        try:
            self._work()
        # Handed over to the coroutine that waits.
        except BaseException as exc:  # noqa: BLE001
            self.failed = True
            self._done.set_exception(exc)
        else:
            self._done.set_result(None)
