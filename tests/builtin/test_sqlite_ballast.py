"""The ballast of a store: given away for the marks of what was done, made again when there is room."""

import asyncio
import os
import sqlite3
import stat

import pytest

from agora_core.builtin import sqlite_ballast, sqlite_writer
from agora_core.builtin.sqlite_ballast import BALLAST_BYTES, Ballast
from agora_core.builtin.sqlite_dlq import SqliteDlq
from agora_core.builtin.sqlite_troubles import Troubles
from agora_core.spec.errors import StoreError
from agora_core.spec.letters import LetterQuery, LetterState
from agora_core.testing.dlq_samples import EVERYTHING, HOUR, letters


@pytest.fixture
def path(tmp_path):
    return tmp_path / "letters.db"


@pytest.fixture
def disk(path, monkeypatch):
    """A disk that is full while *it* says so and the ballast is there: every commit fails."""
    is_full = []
    real = sqlite_ballast._has_room
    monkeypatch.setattr(sqlite_ballast, "_has_room", lambda folder, size: not is_full and real(folder, size))
    monkeypatch.setattr(sqlite_ballast, "_PAUSE_SECONDS", 0.0)
    transact = sqlite_writer.transact

    def full(connection, jobs):
        if is_full and path.with_name("letters.db-ballast").exists():
            error = sqlite3.OperationalError("database or disk is full")
            error.sqlite_errorcode = sqlite3.SQLITE_FULL
            raise error
        return transact(connection, jobs)

    monkeypatch.setattr(sqlite_writer, "transact", full)
    return is_full


async def test_what_was_done_is_marked_and_nothing_new_begun(path, disk, caplog):
    """On a full disk letters that are held become replayed; new ones and leases are refused, until there is room."""
    store = SqliteDlq(path)
    await store.open()
    await store.put(letters("a", "b", "c"))
    (held,) = await store.lease(LetterQuery(), token="mine", lasting=HOUR, limit=1)
    disk.append("full")

    resolved = await store.resolve([held], token="mine", state=LetterState.REPLAYED)
    with pytest.raises(StoreError, match=r"the disk of the dead-letter store .* is full: \d+ bytes more could not"):
        await store.put(letters("d"))
    with pytest.raises(StoreError, match="is full"):
        await store.lease(LetterQuery(), token="other", lasting=HOUR, limit=1)
    told = await store.troubles()
    disk.clear()
    await store.put(letters("e"))
    after = await store.troubles()
    found = [one.uid for one in await store.find(EVERYTHING)]
    await store.close()

    assert resolved == 1
    assert "disk of a store is full" in caplog.messages
    assert [("is full" in one) for one in told] == [True]
    assert after == ()
    assert found == ["a", "b", "c", "e"]
    assert path.with_name("letters.db-ballast").stat().st_size == BALLAST_BYTES


async def test_a_big_letter_does_not_take_the_marks_along(path, disk):
    """A mark and a letter of one group: the letter is refused, the mark is kept."""
    store = SqliteDlq(path)
    await store.open()
    await store.put(letters("a", "b"))
    (held,) = await store.lease(LetterQuery(), token="mine", lasting=HOUR, limit=1)
    disk.append("full")

    refused, resolved = await asyncio.gather(
        store.put(letters("c")),
        store.resolve([held], token="mine", state=LetterState.PARKED),
        return_exceptions=True,
    )
    await store.close()

    assert isinstance(refused, StoreError)
    assert resolved == 1


async def test_puts_alone_leave_the_ballast(path, disk):
    """What nothing is gained by is not given away; that there is no room is said all the same."""
    store = SqliteDlq(path)
    await store.open()
    disk.append("full")
    with pytest.raises(StoreError, match="is full"):
        await store.put(letters("a"))
    told = await store.troubles()
    disk.clear()
    await store.put(letters("b"))

    assert path.with_name("letters.db-ballast").exists()
    assert len(told) == 1
    assert await store.troubles() == ()
    await store.close()


def test_it_is_its_owners_alone_and_whole(path):
    """It takes up all of its room on the disk, and nobody else may read it."""
    ballast = Ballast(path, "the store", Troubles())

    assert ballast.is_there()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.stat().st_blocks * 512 >= BALLAST_BYTES


def test_it_is_not_tried_at_each_call(path, monkeypatch):
    """Where there was no room a moment ago, nothing is written to find out again."""
    asked = []
    monkeypatch.setattr(sqlite_ballast, "_has_room", lambda folder, size: asked.append(size))
    ballast = Ballast(path, "the store", Troubles())

    found = [ballast.is_there(soon=True) for _ in range(100)]

    assert not any(found)
    assert asked == [2 * BALLAST_BYTES]


def test_half_of_it_is_none(path, monkeypatch):
    """When the disk fills up while it is written, nothing of it stays."""

    def full(handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    troubles = Troubles()

    assert not Ballast(path, "the store", troubles).is_there()
    assert not path.exists()
    assert troubles.told() == ("the disk of the store is full, or nearly: nothing new is kept until there is room",)
