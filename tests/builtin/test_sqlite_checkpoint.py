"""The write-ahead log is moved into the database in time, and never while anyone writes."""

import fcntl
import logging
import os
import sqlite3
from contextlib import closing

import pytest

from agora_core.builtin import sqlite_checkpoint
from agora_core.builtin.sqlite_dlq import SqliteDlq
from agora_core.spec.errors import StoreError
from agora_core.spec.letters import LetterQuery
from agora_core.testing.dlq_samples import letter, letters


@pytest.fixture
def path(tmp_path):
    return tmp_path / "letters.db"


@pytest.fixture
async def store(path, monkeypatch):
    monkeypatch.setattr(sqlite_checkpoint, "CHECKPOINT_AT", 200_000)
    monkeypatch.setattr(sqlite_checkpoint, "ALARM_AT", 1_500_000)
    monkeypatch.setattr(sqlite_checkpoint, "_PATIENCE_SECONDS", 0.0)
    store = SqliteDlq(path, busy_timeout_seconds=0.05)
    await store.open()
    yield store
    await store.close()


def log_length(path):
    return path.with_name("letters.db-wal").stat().st_size


async def fill(store, count=20, start=0):
    for number in range(start, start + count):
        await store.put([letter(str(number), record="x" * 100_000)])


async def test_the_log_does_not_grow_without_end(store, path):
    """While letters are put, their pages go into the database."""
    await fill(store)

    assert log_length(path) < 500_000
    assert path.stat().st_size > 1_500_000


async def test_a_checkpoint_waits_for_other_writers(store, path):
    """While another process writes, there is no checkpoint; afterwards there is."""
    other = os.open(path.with_name("letters.db-lock"), os.O_RDWR)
    fcntl.flock(other, fcntl.LOCK_SH)
    await fill(store)
    during = log_length(path)
    os.close(other)
    await fill(store, 2, start=20)
    await fill(store, 1, start=22)

    assert during > 1_500_000
    assert path.stat().st_size > 1_500_000


async def test_a_checkpoint_of_another_process_is_waited_for(store, path):
    """A put while another process makes a checkpoint waits, and says why when that takes too long."""
    other = os.open(path.with_name("letters.db-lock"), os.O_RDWR)
    fcntl.flock(other, fcntl.LOCK_EX)
    with pytest.raises(StoreError, match=r"is locked by another process for more than 0\.05 seconds"):
        await store.put(letters("a"))
    os.close(other)

    await store.put(letters("b"))
    assert await store.count(LetterQuery()) == 1


async def test_a_log_that_a_reader_keeps_is_said_once(store, path, caplog):
    """A reader that stays does not stop the store; the log's growth is a warning, not one per put."""
    await store.put(letters("a"))
    with closing(sqlite3.connect(path, isolation_level=None)) as other, caplog.at_level(logging.WARNING):
        other.execute("BEGIN")
        other.execute("SELECT count(*) FROM letters").fetchone()
        await fill(store, 25)

    assert [record.message for record in caplog.records] == ["log of a store grows, a reader keeps it"]
    assert await store.count(LetterQuery()) == 26


async def test_a_failed_checkpoint_fails_no_put(store, monkeypatch):
    """What was written is safe in the log: the put returns, and the next one works on a new connection."""

    def fail(self, connection):
        monkeypatch.setattr(sqlite_checkpoint.CheckpointLock, "checkpoint_when_due", lambda self, connection: None)
        raise sqlite3.OperationalError("disk I/O error")

    monkeypatch.setattr(sqlite_checkpoint.CheckpointLock, "checkpoint_when_due", fail)

    await store.put(letters("a"))
    await store.put(letters("b"))

    assert await store.count(LetterQuery()) == 2
