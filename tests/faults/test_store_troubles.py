"""Troubles inside a store: its thread dies, a reader holds its log; and a checkpoint that cannot be saved."""

import sqlite3
from contextlib import closing

import pytest

from agora_core.builtin import sqlite_checkpoint, sqlite_writer
from agora_core.builtin.sqlite_dlq import SqliteDlq
from agora_core.builtin.sqlite_state import SqliteState
from agora_core.flow.delivery_config import DeliveryConfig
from agora_core.flow.pipeline import Pipeline
from agora_core.spec.errors import DeadLetterError, StoreError
from agora_core.spec.letters import LetterQuery
from agora_core.testing.dlq_samples import letter


class Count:
    """The numbers up to a hundred, from its position on."""

    def __init__(self):
        self.position = 0

    def resume(self, position):
        self.position = position

    def batches(self, size):
        while self.position < 100:
            begin, self.position = self.position, min(self.position + size, 100)
            yield list(range(begin, self.position))


class Sink:
    def __init__(self):
        self.written = []

    def write_batch(self, records):
        self.written += records


def odd_fails(number):
    if number % 2:
        raise ValueError("odd")
    return number


@pytest.fixture
def built(tmp_path):
    """A pipeline with both stores, of which each call gives a new one, and its sink."""
    sink = Sink()

    def build():
        config = DeliveryConfig(
            dlq=SqliteDlq(tmp_path / "letters.db", busy_timeout_seconds=0.05),
            checkpoint=SqliteState(tmp_path / "state.db", busy_timeout_seconds=0.05),
            batch_size=10,
            flush_interval_seconds=0,
        )
        return Pipeline(Count(), "numbers").map(odd_fails).build(sink, config=config)

    return build, sink


async def kept_numbers(path):
    store = SqliteDlq(path)
    await store.open()
    try:
        return [each.record for each in await store.find(LetterQuery())]
    finally:
        await store.close()


@pytest.mark.fault(41)
async def test_a_store_whose_thread_dies_stops_the_run(built, tmp_path, monkeypatch):
    """No one hangs: the run fails with what the thread died of, and the next run has a new thread and loses nothing."""
    build, sink = built
    real, calls = sqlite_writer.transact, []

    def die_once(connection, jobs):
        calls.append(len(jobs))
        if len(calls) == 8:
            raise MemoryError("as in a bug")
        return real(connection, jobs)

    monkeypatch.setattr(sqlite_writer, "transact", die_once)

    with pytest.raises((DeadLetterError, StoreError), match="its thread died of MemoryError: as in a bug"):
        await build().run()
    await build().run()

    assert sorted(set(sink.written)) == list(range(0, 100, 2))
    assert sorted(set(await kept_numbers(tmp_path / "letters.db"))) == list(range(1, 100, 2))
    assert len(sink.written) - 50 <= 10


async def test_a_checkpoint_that_cannot_be_saved_fails_the_run(built, tmp_path):
    """A state store that another process keeps locked is the run's failure; what came through is there all the same."""
    build, sink = built
    await build().run(max_records=10)

    with closing(sqlite3.connect(tmp_path / "state.db", isolation_level=None)) as other:
        pipeline = build()
        other.execute("PRAGMA wal_autocheckpoint = 0")
        opened = pipeline.config.checkpoint.open

        async def open_and_lock():
            await opened()
            other.execute("BEGIN IMMEDIATE")

        pipeline.config.checkpoint.open = open_and_lock
        with pytest.raises(StoreError, match=r"the state store '.*state.db' is locked by another process"):
            await pipeline.run()
        other.execute("ROLLBACK")
    await build().run()

    assert sorted(set(sink.written)) == list(range(0, 100, 2))
    assert len(sink.written) - 50 <= 10


@pytest.mark.fault(40)
async def test_a_log_that_a_reader_kept_is_shortened_behind_it(tmp_path, monkeypatch):
    """While a reader stays letters are kept and the log grows; behind it the next commit moves it into the file."""
    monkeypatch.setattr(sqlite_checkpoint, "CHECKPOINT_AT", 100_000)
    path = tmp_path / "letters.db"
    store = SqliteDlq(path)
    await store.open()
    await store.put([letter("first")])
    with closing(sqlite3.connect(path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        (seen,) = reader.execute("SELECT count(*) FROM letters").fetchone()
        for number in range(20):
            await store.put([letter(str(number), record="x" * 20_000)])
        (still,) = reader.execute("SELECT count(*) FROM letters").fetchone()
    held = path.stat().st_size

    await store.put([letter("last", record="x" * 20_000)])
    await store.put([letter("behind it")])  # begun when all that belongs to the last commit is done

    moved = path.stat().st_size
    found = await store.count(LetterQuery())
    await store.close()
    assert (seen, still, found) == (1, 1, 23)
    assert moved > held + 300_000
