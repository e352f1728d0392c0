"""The one thread that writes a store's file: all that waits is written in one transaction, with one sync to disk."""

import asyncio
import sqlite3
from queue import Empty, SimpleQueue
from threading import Lock, Thread
from typing import Any

from agora_core.builtin.sqlite_checkpoint import CheckpointLock
from agora_core.builtin.sqlite_file import SqliteFile
from agora_core.builtin.sqlite_transaction import Job, transact
from agora_core.spec.errors import AgoraError, StoreError

GROUP_JOBS = 1000
GROUP_BYTES = 4 << 20


class SqliteWriter:
    """Owns the only writing connection of this process to a file, from `start` to `stop`."""

    def __init__(self, file: SqliteFile, connection: sqlite3.Connection, lock: CheckpointLock) -> None:
        self._file = file
        self._connection: sqlite3.Connection | None = connection
        self._lock = lock
        self._identity = file.identity()
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._gate = Lock()
        self._ended = ""
        self._group: list[Job] = []
        self._size = 0
        self._thread = Thread(target=self._run, name=f"agora writes {file.path.name}", daemon=True)
        self.commits = 0

    def start(self) -> None:
        """Start the thread; raise `StoreError` when the system has none left."""
        try:
            self._thread.start()
        except RuntimeError as exc:
            raise StoreError(f"{self._file.name} cannot be used: {exc}") from exc

    async def write(self, job: Job) -> Any:  # whatever its work returns
        """Have *job* done, and return its result once it is durable. Cancelled early enough, it is never begun."""
        with self._gate:
            if self._ended:
                raise StoreError(f"{self._file.name} {self._ended}")
            self._jobs.put(job)
        return await asyncio.wrap_future(job.waiter)

    def stop(self) -> sqlite3.Connection | None:
        """Write what still waits, end the thread, and return the connection, if it is still good."""
        with self._gate:
            self._ended = self._ended or "is closed"
            self._jobs.put(None)
        self._thread.join()
        return self._connection

    def _run(self) -> None:
        try:
            going_on = True
            while going_on:
                self._group = []
                going_on = self._gather()
                self._write(self._group)
        # The thread's last border: were it to die in silence, everyone who waits would wait for ever.
        except BaseException as exc:  # noqa: BLE001
            self._die(exc)

    def _gather(self) -> bool:
        """Wait for a job, and take those that wait behind it; return whether more may come."""
        self._size = 0
        job = self._jobs.get()
        while job is not None:
            if job.waiter.set_running_or_notify_cancel():
                self._take(job)
            if len(self._group) >= GROUP_JOBS or self._size >= GROUP_BYTES:
                return True
            try:
                job = self._jobs.get_nowait()
            except Empty:
                return True
        return False

    def _take(self, job: Job) -> None:
        try:
            self._size += job.prepare()
        # The caller's mistake, such as a letter without a date: it is told, and nobody else.
        except Exception as exc:  # noqa: BLE001
            job.waiter.set_exception(exc)
        else:
            self._group.append(job)

    def _write(self, group: list[Job]) -> None:
        if not group:
            return
        try:
            self._refuse_another_file()
            connection = self._connected()
            with self._lock.writing():
                done = transact(connection, group)
        except (sqlite3.Error, OSError, AgoraError) as exc:
            # After a failed sync nobody knows what is on disk but the next reader of the file: start from there.
            self._disconnect()
            for job in group:
                job.waiter.set_exception(self._file.explain(exc, needed=self._size))
            return
        self.commits += 1
        for job, end in zip(group, done, strict=True):
            if end.error is None:
                job.waiter.set_result(end.result)
            else:
                known = isinstance(end.error, sqlite3.Error)
                job.waiter.set_exception(self._file.explain(end.error) if known else end.error)
        self._checkpoint(connection)

    def _checkpoint(self, connection: sqlite3.Connection) -> None:
        try:
            self._lock.checkpoint_when_due(connection)
        except (sqlite3.Error, OSError):
            # What was written is safe in the log; the next transaction tries again.
            self._disconnect()

    def _refuse_another_file(self) -> None:
        """Raise `StoreError` when the file was moved away: SQLite would go on writing what nobody will ever find."""
        if self._file.identity() != self._identity:
            raise StoreError(f"{self._file.name} was moved, removed or replaced while it was open; put it back")

    def _connected(self) -> sqlite3.Connection:
        if self._connection is None:
            self._connection = self._file.connect(writing=True)
        return self._connection

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _die(self, cause: BaseException) -> None:
        with self._gate:
            self._ended = f"cannot be written any more: its thread died of {type(cause).__name__}: {cause}"
        while not self._jobs.empty():
            job = self._jobs.get()
            if job is not None and job.waiter.set_running_or_notify_cancel():
                self._group.append(job)
        for job in self._group:
            if not job.waiter.done():
                job.waiter.set_exception(StoreError(f"{self._file.name} {self._ended}"))
