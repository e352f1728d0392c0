"""The state stores beyond their contract."""

import asyncio
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from zlib import crc32

import pytest

from agora_core.builtin.memory_state import MemoryState
from agora_core.builtin.sqlite_state import SqliteState
from agora_core.spec.errors import StoreError
from agora_core.testing.clocks import ManualClock


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
