"""The state store `redis` against real servers: the contract of state stores, and what only a server can do."""

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from itertools import count

import pytest

pytest.importorskip("redis", reason="the extra `redis` is not installed")

import redis

from agora.plugins import ConfigError, StateStore, StoreError
from agora.testing import ManualClock, StateStoreContract
from agora_core.testing.state_samples import ALL_RUNS, MINUTE, NOON, claim, ids, memory, request, run, skipped
from agora_plugins.redis_server import Server
from agora_plugins.redis_state import RedisState

pytestmark = pytest.mark.services


class TestRedisState(StateStoreContract):
    @pytest.fixture(autouse=True)
    def _on_a_server(self, redis_url: str, redis_prefix: str) -> None:
        self.url, self.prefix, self.stores = redis_url, redis_prefix, count()

    def make_store(self) -> StateStore:
        self.place = f"{self.prefix}:{next(self.stores)}"
        return self.make_store_again()

    def make_store_again(self) -> StateStore:
        return RedisState(self.url, prefix=self.place)


@pytest.fixture
async def store(redis_url: str, redis_prefix: str) -> Iterator[RedisState]:
    store = RedisState(redis_url, prefix=redis_prefix)
    await store.open()
    yield store
    await store.close()


@pytest.fixture
def admin(redis_url: str) -> Iterator["redis.Redis"]:
    with redis.from_url(redis_url) as client:
        yield client


async def test_a_silent_worker_owns_nothing_within_a_minute(redis_url, redis_prefix):
    """Signs of life make the claim last; without one it is over, and another's is not taken back."""
    clock = ManualClock()
    first, second = (RedisState(redis_url, prefix=redis_prefix, clock=clock) for _ in range(2))
    await first.open()
    await second.open()
    await first.claim(claim("first"))
    clock.advance(timedelta(seconds=30))
    await first.claim(claim("first"))
    clock.advance(timedelta(seconds=30))
    assert await second.claim(claim("second")) == claim("first")

    clock.advance(timedelta(seconds=30))

    assert await first.claimed_by() is None
    assert await second.claim(claim("second")) is None
    assert await first.claim(claim("first")) == claim("second")
    await first.close()
    assert await second.claimed_by() == claim("second")
    await second.close()


async def test_the_server_itself_ends_a_claim(store, admin, redis_prefix):
    """By its own clock, and the key is gone within a minute."""
    await store.claim(claim("first"))

    assert 0 < admin.pttl(f"{{{redis_prefix}}}:claim") <= 60_000


async def test_lost_connections_are_made_again_and_nothing_is_kept_twice(store, admin, monkeypatch):
    """An answer that was lost on its way is asked for again: decisions and requests are there once."""
    whole = Server._run

    async def lost(self, client, arguments):
        answer = await whole(self, client, arguments)
        if arguments[0] in ("record", "ask") and not lost.calls:
            lost.calls += 1
            raise redis.ConnectionError("lost")
        return answer

    lost.calls = 0
    monkeypatch.setattr(Server, "_run", lost)
    await store.record(runs=[run(1)], decisions=[skipped(1)])
    lost.calls = 0
    number = await store.ask(request())

    assert list(await store.decisions("orders")) == [skipped(1)]
    assert [one.id for one in await store.requests()] == [number] == [1]


@pytest.mark.parametrize(
    ("name", "said"),
    [("memories", "damaged memory.*HDEL"), ("positions", "damaged checkpoint.*HDEL .*positions orders")],
)
async def test_damage_is_told_with_its_remedy(store, admin, redis_prefix, name, said):
    """What the next run goes on from is whole, or nobody goes on from it."""
    await store.record(memories=[memory(runs=7)])
    await store.save_checkpoint("orders", 7)
    key = f"{{{redis_prefix}}}:{name}"
    admin.hset(key, "orders", admin.hget(key, "orders").replace(b"7", b"9"))

    with pytest.raises(StoreError, match=said):
        await (store.memories() if name == "memories" else store.checkpoint("orders"))


async def test_damaged_history_is_left_out_and_told(store, admin, redis_prefix, caplog):
    """One bad value does not hide the others."""
    await store.record(runs=[run(1), run(2)])
    admin.hset(f"{{{redis_prefix}}}:run:orders-1", "value", "no value")

    assert ids(await store.runs(ALL_RUNS)) == ["orders-2"]
    assert [record.entry for record in caplog.records] == ["run orders-1"]


async def test_a_run_of_thousands_is_looked_through_in_steps(store):
    """A rare outcome is found behind thousands of others, and all runs come in one list, each once."""
    runs = [run(number, "p") for number in range(5000)]
    await store.record(runs=[*runs, run(9999, "q")])

    assert len({one.id for one in await store.runs(ALL_RUNS)}) == 5001
    assert len(await store.runs(ALL_RUNS, limit=2500)) == 2500
    assert await store.prune(NOON + 20000 * MINUTE, keep=1) == 4999


async def test_keys_of_another_sort_are_refused(redis_url, redis_prefix, admin):
    """A format that this version does not know is not written to."""
    admin.set(f"{{{redis_prefix}}}:format", "9")

    with pytest.raises(ConfigError, match=r"the state store .* was written by a newer Agora \(format 9"):
        await RedisState(redis_url, prefix=redis_prefix).open()


async def test_its_address_shows_nowhere():
    """Neither in what it is called, nor in errors."""
    hidden = RedisState("redis://agora:s3cret@127.0.0.1:1/0", timeout_seconds=1)

    with pytest.raises(StoreError) as caught:
        await hidden.open()

    assert "s3cret" not in f"{hidden!r} {caught.value} {hidden._server!r}"
    assert "the state store 'agora:state' in Redis at 127.0.0.1:1/0" in str(caught.value)


async def test_many_record_at_one_time_from_several_stores(redis_url, redis_prefix):
    """Machines share a store, and each step is whole."""
    stores = [RedisState(redis_url, prefix=redis_prefix) for _ in range(3)]
    for one in stores:
        await one.open()

    await asyncio.gather(*(one.record(decisions=[skipped(n)]) for one in stores for n in range(20)))

    assert len(await stores[0].decisions("orders")) == 60
    for one in stores:
        await one.close()
