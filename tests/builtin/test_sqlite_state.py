"""The state stores beyond their contract."""

import asyncio
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from zlib import crc32

import pytest

from agora_core.builtin.memory_state import MemoryState
from agora_core.builtin.sqlite_state import SqliteState
from agora_core.builtin.state_queries import OPEN_REQUESTS, find_runs
from agora_core.spec.errors import ConfigError, StoreError
from agora_core.spec.runs import Outcome
from agora_core.spec.state import RunQuery
from agora_core.testing.clocks import ManualClock
from agora_core.testing.state_samples import ALL_RUNS, MINUTE, NOON, ids, memory, request, run, skipped


@pytest.fixture
async def store(tmp_path):
    store = SqliteState(tmp_path / "state.db", clock=ManualClock())
    await store.open()
    yield store
    await store.close()


def test_it_says_which_file_it_is(tmp_path):
    """The path is in the repr, and nothing is made before it is opened."""
    store = SqliteState(tmp_path / "state.db")

    assert repr(store) == f"SqliteState('{tmp_path}/state.db')"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("position", [(1, 2), datetime(2024, 1, 1, tzinfo=UTC), b"x", 2**70])
async def test_positions_beyond_json_come_back(store, position):
    """A source that counts in tuples or moments gets them back."""
    await store.save_checkpoint("orders", position)

    assert await store.checkpoint("orders") == position


@pytest.mark.parametrize("make", [MemoryState, None], ids=["memory", "sqlite"])
async def test_a_position_that_cannot_be_kept_is_an_error(store, make):
    """An object of the source's own is refused, and the last position stays."""
    store = make() if make else store
    await store.save_checkpoint("orders", 1)

    with pytest.raises(StoreError, match=r"the position of pipeline 'orders'.* object is not a JSON value"):
        await store.save_checkpoint("orders", object())
    assert await store.checkpoint("orders") == 1


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("crc = crc + 1", "it does not fit its checksum"),
        (f"position = x'7b', crc = {crc32(b'{')}", "it cannot be read"),
    ],
)
async def test_a_damaged_checkpoint_is_never_used(store, tmp_path, change, reason):
    """Rather than read from a wrong place, or silently from the start, the store says what to do."""
    await store.save_checkpoint("orders", 7)
    with closing(sqlite3.connect(tmp_path / "state.db")) as connection:
        connection.execute(f"UPDATE checkpoints SET {change}")
        connection.commit()

    with pytest.raises(StoreError, match=f"damaged checkpoint of pipeline 'orders': {reason}.*remove its row"):
        await store.checkpoint("orders")


async def test_saves_at_one_time_share_commits(store):
    """Many pipelines that save together wait for few syncs."""
    before = store._store.commits

    await asyncio.gather(*(store.save_checkpoint(f"p{number}", number) for number in range(100)))

    assert store._store.commits - before < 30


async def test_a_checkpoint_can_be_read_by_people(store, tmp_path):
    """What stands in the file is JSON."""
    await store.save_checkpoint("orders", {"line": 7})

    with closing(sqlite3.connect(tmp_path / "state.db")) as connection:
        assert connection.execute("SELECT CAST(position AS TEXT) FROM checkpoints").fetchone() == ('{"line":7}',)


RUN = run(1)
FORMAT_1 = f"""
PRAGMA page_size = 8192; PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL;
PRAGMA application_id = {0x41475354}; PRAGMA user_version = 1;
CREATE TABLE checkpoints (
    pipeline_id TEXT PRIMARY KEY,
    position BLOB NOT NULL,
    crc INTEGER NOT NULL,
    saved_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE owners (key TEXT PRIMARY KEY, pid INTEGER NOT NULL, host TEXT NOT NULL) STRICT;
INSERT INTO checkpoints VALUES ('orders', x'37', {crc32(b"7")}, 0);
"""


def tables(path):
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute("SELECT type, name, sql FROM sqlite_schema ORDER BY name").fetchall()


def damage(folder, statement):
    with closing(sqlite3.connect(folder / "state.db")) as connection:
        connection.execute(statement)
        connection.commit()


async def test_a_store_of_format_1_is_brought_to_this_one(store, tmp_path):
    """Its positions are there, and its tables are those of a new store, word for word."""
    old = tmp_path / "old.db"
    with closing(sqlite3.connect(old)) as connection:
        connection.executescript(FORMAT_1)
    brought = SqliteState(old)
    await brought.open()

    assert await brought.checkpoint("orders") == 7
    await brought.record(runs=[RUN])
    assert list(await brought.runs(ALL_RUNS)) == [RUN]
    await brought.close()
    assert tables(old) == tables(tmp_path / "state.db")


async def test_a_damaged_memory_is_never_used(store, tmp_path):
    """A pipeline that forgot what it missed would hide it: the store says what is wrong, and what to do."""
    await store.record(memories=[memory("orders", runs=7), memory("returns")])
    changed = "CAST(replace(memory, '7', '9') AS BLOB)"
    damage(tmp_path, f"UPDATE memories SET memory = {changed} WHERE pipeline_id = 'orders'")

    with pytest.raises(
        StoreError, match="damaged memory of pipeline 'orders': it does not fit its checksum; remove its row"
    ):
        await store.memories()


async def test_damaged_history_is_left_out_and_told_once(store, tmp_path, caplog):
    """One bad row does not hide the others, and the log names it, however often workers ask."""
    await store.record(runs=[run(1), run(2)], decisions=[skipped(1), skipped(2)])
    number = await store.ask(request())
    damage(tmp_path, "UPDATE runs SET run = x'00' WHERE number = 1")
    damage(tmp_path, "UPDATE decisions SET crc = crc + 1 WHERE row = 1")
    damage(tmp_path, "UPDATE requests SET request = x'7b7d', crc = 2745614147")

    for _ in range(2):
        assert list(await store.runs(ALL_RUNS)) == [run(2)]
        assert list(await store.decisions("orders")) == [skipped(2)]
        assert list(await store.requests()) == []
        assert await store.request(number) is None

    assert sorted(record.entry for record in caplog.records) == ["decision 1", f"request {number}", "run orders-1"]
    assert {record.getMessage() for record in caplog.records} == {"damaged entry of a state store left out"}


async def test_all_is_kept_or_nothing_when_the_file_refuses(store, tmp_path):
    """A statement that fails halfway takes back those before it."""
    damage(tmp_path, "CREATE TRIGGER refuse BEFORE INSERT ON decisions BEGIN SELECT RAISE(ABORT, 'no'); END")

    with pytest.raises(StoreError, match="no"):
        await store.record(memories=[memory()], runs=[RUN], decisions=[skipped(1)])

    assert list(await store.memories()) == []
    assert list(await store.runs(ALL_RUNS)) == []


@pytest.mark.parametrize(
    "query",
    [
        RunQuery(),
        RunQuery(pipeline_id="orders"),
        RunQuery(run_id="orders-1"),
        RunQuery(outcomes=(Outcome.FAILED, Outcome.CANCELLED)),
        RunQuery(ended=False),
        RunQuery(pipeline_id="orders", outcomes=(Outcome.FAILED,), since=NOON, until=NOON),
    ],
)
async def test_no_query_sorts_or_scans_the_table(store, tmp_path, query):
    """A million runs are not read for the last twenty: an index has them in their order."""
    sql, parameters = find_runs(query, 20)

    with closing(sqlite3.connect(tmp_path / "state.db")) as connection:
        plan = " ".join(row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {sql}", parameters))

    assert "USING INDEX" in plan
    assert "TEMP B-TREE" not in plan


async def test_what_is_asked_each_second_reads_open_requests_alone(store, tmp_path):
    """Answered requests cost nothing."""
    with closing(sqlite3.connect(tmp_path / "state.db")) as connection:
        (plan,) = connection.execute(f"EXPLAIN QUERY PLAN {OPEN_REQUESTS}").fetchall()

    assert "USING INDEX requests_without_answer" in plan[3]


async def test_records_at_one_time_share_commits(store):
    """A herd of pipelines that end together waits for few syncs."""
    before = store._store.commits

    await asyncio.gather(*(store.record(memories=[memory(f"p{n}")], runs=[run(1, f"p{n}")]) for n in range(100)))

    assert store._store.commits - before < 30


async def test_pruning_goes_through_many_pipelines(store):
    """More pipelines than are looked through at one time: each is pruned, with what it may keep."""
    names = [f"p{number:04}" for number in range(1200)]
    await store.record(runs=[run(number, name) for name in names for number in (1, 2)])

    assert await store.prune(NOON + 100 * MINUTE, keep=1) == 1200
    assert sorted(ids(await store.runs(ALL_RUNS))) == [f"{name}-2" for name in names]


async def test_memory_keeps_the_last_ones_of_each_pipeline():
    """A store in memory has an end: of runs and decisions it keeps so many."""
    store = MemoryState(most=2)

    for number in range(1, 5):
        await store.record(runs=[run(number), run(number, "returns")], decisions=[skipped(number)])

    assert sorted(ids(await store.runs(ALL_RUNS))) == ["orders-3", "orders-4", "returns-3", "returns-4"]
    assert list(await store.decisions("orders")) == [skipped(4), skipped(3)]


@pytest.mark.parametrize("most", [0, -1, 1.5, True, "7"])
def test_memory_without_room_is_refused(most):
    """It must be possible to keep something."""
    with pytest.raises(ConfigError, match=r"most must be a whole number of at least 1, not"):
        MemoryState(most=most)
