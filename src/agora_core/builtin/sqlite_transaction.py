"""Several jobs in one transaction: one that fails is undone alone, and nobody is told before the commit."""

import sqlite3
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from agora_core.builtin.sqlite_errors import is_everybodys
from agora_core.spec.failpoints import reached

Work: TypeAlias = Callable[[sqlite3.Connection], Any]


def weightless() -> int:
    """Prepare nothing."""
    return 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """Something to be done inside a transaction, and who waits for it.

    *prepare* is called before the transaction begins, and returns how many bytes will be written. *work* may be called
    again when all that it did was undone. What *is_new* is refused on a full disk, so that the rest finds room.
    """

    work: Work
    prepare: Callable[[], int] = weightless
    is_new: bool = False
    waiter: "Future[Any]" = field(default_factory=Future)


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What a job returned, or raised."""

    result: object = None
    error: Exception | None = None


def transact(connection: sqlite3.Connection, jobs: list[Job]) -> list[Done]:
    """Do all *jobs* in one transaction and return what came of each; raise `sqlite3.Error` when all is undone."""
    # A deferred transaction that turns into a writing one fails at once, whatever the busy time-out.
    connection.execute("BEGIN IMMEDIATE")
    try:
        done = [_attempt(connection, job) for job in jobs]
        reached("before-commit")
        connection.execute("COMMIT")
        reached("after-commit")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    return done


def _attempt(connection: sqlite3.Connection, job: Job) -> Done:
    connection.execute("SAVEPOINT job")
    try:
        done = Done(result=job.work(connection))
    # One caller's failure is its own: the other jobs of the transaction go on.
    except Exception as exc:
        # SQLite may have given up the whole transaction; or it is the disk that fails, or the file, and not this job.
        if not connection.in_transaction or is_everybodys(exc):
            raise
        connection.execute("ROLLBACK TO job")
        done = Done(error=exc)
    connection.execute("RELEASE job")
    return done
