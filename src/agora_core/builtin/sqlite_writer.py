"""The one thread that writes a store's file: all that waits is written in one transaction, with one sync to disk."""

import asyncio
import sqlite3
from queue import Empty, SimpleQueue
from threading import Lock
from typing import Any

from agora_core.builtin.sqlite_ballast import Ballast
from agora_core.builtin.sqlite_checkpoint import CheckpointLock
from agora_core.builtin.sqlite_errors import is_damage, is_full
from agora_core.builtin.sqlite_file import SqliteFile
from agora_core.builtin.sqlite_quarantine import connect, is_aside
from agora_core.builtin.sqlite_rescue import Rescuer
from agora_core.builtin.sqlite_transaction import Done, Job, transact
from agora_core.builtin.working_thread import WorkingThread
from agora_core.spec.errors import AgoraError, StoreError

GROUP_JOBS = 1000
GROUP_BYTES = 4 << 20


class SqliteWriter:
    """Owns the only writing connection of this process to a file, from `start` to `stop`."""

    def __init__(
        self,
        file: SqliteFile,
        connection: sqlite3.Connection,
        lock: CheckpointLock,
        ballast: Ballast,
        rescuer: Rescuer,
    ) -> None:
        self._file = file
        self._connection: sqlite3.Connection | None = connection
        self._lock = lock
        self._ballast = ballast
        self._rescuer = rescuer
        self._attempts = rescuer.attempts
        self._identity = file.identity()
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._gate = Lock()
        self._ended = ""
        self._group: list[Job] = []
        self._size = 0
        self._thread = WorkingThread(f"agora writes {file.path.name}", self._run)
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
            self._thread.expect(1)
            self._jobs.put(job)
        return await asyncio.wrap_future(job.waiter)

    def stop(self) -> sqlite3.Connection | None:
        """Write what still waits, end the thread, and return the connection, if it is still good."""
        with self._gate:
            self._ended = self._ended or "is closed"
            self._jobs.put(None)
        self._thread.join()
        if self._file.identity() != self._identity:
            self._disconnect()  # there is nothing of ours to be written into that one any more
        return self._connection

    def _run(self, thread: WorkingThread) -> None:
        try:
            going_on = True
            while going_on:
                self._group = []
                going_on, taken = self._gather()
                self._write(self._group)
                thread.settle(taken)
        # The thread's last border: were it to die in silence, everyone who waits would wait for ever.
        except BaseException as exc:  # noqa: BLE001
            self._die(exc)

    def _gather(self) -> tuple[bool, int]:
        """Wait for a job, and take those that wait behind it; return whether more may come, and how many came."""
        self._size, taken = 0, 0
        job = self._jobs.get()
        while job is not None:
            taken += 1
            if job.waiter.set_running_or_notify_cancel():
                self._take(job)
            if len(self._group) >= GROUP_JOBS or self._size >= GROUP_BYTES:
                return True, taken
            try:
                job = self._jobs.get_nowait()
            except Empty:
                return True, taken
        return False, taken

    def _take(self, job: Job) -> None:
        try:
            self._size += job.prepare()
        # The caller's mistake, such as a letter without a date: it is told, and nobody else.
        except Exception as exc:  # noqa: BLE001
            job.waiter.set_exception(exc)
        else:
            self._group.append(job)

    def _write(self, group: list[Job]) -> None:
        if any(job.is_new for job in group) and not self._ballast.is_there(soon=True):
            group = self._refuse_new(group)
        failures = 0
        while group:
            try:
                connection, done = self._transact(group)
            except (sqlite3.Error, OSError, AgoraError) as exc:
                # After a failed sync nobody knows what is on disk but the next reader of the file: start from there.
                self._disconnect()
                failures += 1
                group = self._what_to_try_again(group, exc, failures)
            else:
                self._tell(group, done)
                self._checkpoint(connection)
                return

    def _transact(self, group: list[Job]) -> tuple[sqlite3.Connection, list[Done]]:
        with self._lock.writing():
            connection = self._connected()
            return connection, transact(connection, group)

    def _tell(self, group: list[Job], done: list[Done]) -> None:
        self.commits += 1
        for job, end in zip(group, done, strict=True):
            if end.error is None:
                job.waiter.set_result(end.result)
            else:
                known = isinstance(end.error, sqlite3.Error)
                job.waiter.set_exception(self._file.explain(end.error) if known else end.error)

    def _what_to_try_again(self, group: list[Job], error: Exception, failures: int) -> list[Job]:
        """Make room, or mend the file, where that is the *error*; fail the jobs for which that does not help."""
        if is_full(error, self._file.path):
            self._ballast.miss()
            marks = self._refuse_new(group)
            if not marks:
                return []
            if len(marks) < len(group):
                return marks  # for these alone there may be room
            if failures < 3:
                self._ballast.release()
                self._reuse_log()
                return marks
        elif is_damage(error):
            if failures == 1:
                return group  # perhaps only what this process had in its memory
            try:
                if failures == 2:  # the new file is not damaged too
                    self._rescuer.rescue(self._identity)
                    return group
            except (sqlite3.Error, OSError, AgoraError) as exc:
                error = self._file.unmended(exc)
        for job in group:
            job.waiter.set_exception(self._file.explain(error, needed=self._size))
        return []

    def _reuse_log(self) -> None:
        """Have the log begin anew: it has all the room that a lease took, and its marks are about as long."""
        try:
            with self._lock.writing():
                connection = self._connected()
            self._lock.checkpoint(connection)
        except (sqlite3.Error, OSError, AgoraError):
            self._disconnect()  # then it must do with the ballast

    def _refuse_new(self, group: list[Job]) -> list[Job]:
        """Refuse what is new, for want of room; return what is left, the marks of what was done."""
        for job in group:
            if job.is_new:
                job.waiter.set_exception(self._file.full(self._size))
        return [job for job in group if not job.is_new]

    def _checkpoint(self, connection: sqlite3.Connection) -> None:
        try:
            self._lock.checkpoint_when_due(connection)
        except (sqlite3.Error, OSError):
            # What was written is safe in the log; the next transaction tries again.
            self._disconnect()

    def _connected(self) -> sqlite3.Connection:
        """Return the connection to the file that is there now, which nobody may exchange meanwhile.

        Raises `StoreError` when the file was moved away: SQLite would go on writing what nobody will ever find.
        """
        found = self._file.identity()
        if found != self._identity:
            if found is None or not is_aside(self._file, self._identity):
                raise StoreError(f"{self._file.name} was moved, removed or replaced while it was open; put it back")
            self._disconnect()  # from the damaged one
            self._identity = found
        if self._attempts != self._rescuer.attempts:
            self._disconnect()
            self._attempts = self._rescuer.attempts
        if self._connection is None:
            self._connection = connect(self._file, writing=True)
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
