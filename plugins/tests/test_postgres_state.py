"""The state store `postgres` against a real server: the contract of state stores, and what only a server can do."""

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from itertools import count

import pytest

pytest.importorskip("asyncpg", reason="the extra `postgres` is not installed")

import asyncpg

from agora.plugins import ConfigError, StateStore, StoreError
from agora.testing import ManualClock, StateStoreContract
from agora_core.testing.state_samples import ALL_RUNS, MINUTE, NOON, claim, ids, memory, request, run, skipped
from agora_plugins.postgres_dlq import PostgresDlq
from agora_plugins.postgres_state import PostgresState

pytestmark = pytest.mark.services


class TestPostgresState(StateStoreContract):
    @pytest.fixture(autouse=True)
    def _on_a_server(self, postgres_dsn: str, postgres_schema: str) -> None:
        self.dsn, self.schema, self.tables = postgres_dsn, postgres_schema, count()

    def make_store(self) -> StateStore:
        self.table = f"{self.schema}.state_{next(self.tables)}"
        return self.make_store_again()

    def make_store_again(self) -> StateStore:
        return PostgresState(self.dsn, table=self.table)


@pytest.fixture
def table(postgres_schema: str) -> str:
    return f"{postgres_schema}.state"


@pytest.fixture
def store(postgres_dsn: str, table: str) -> PostgresState:
    return PostgresState(postgres_dsn, table=table)


@pytest.fixture
async def admin(postgres_dsn: str) -> Iterator[asyncpg.Connection]:
    connection = await asyncpg.connect(postgres_dsn)
    yield connection
    await connection.close()


async def test_workers_that_start_at_one_moment_make_the_tables_once(postgres_dsn, table):
    """Ten opens race, and all of them end with the same store, of which one worker is the owner."""
    stores = [PostgresState(postgres_dsn, table=table, max_connections=1) for _ in range(10)]

    await asyncio.gather(*(one.open() for one in stores))
    ends = await asyncio.gather(*(one.claim(claim(f"w{place}")) for place, one in enumerate(stores)))

    assert ends.count(None) == 1
    await asyncio.gather(*(one.close() for one in stores))


async def test_records_that_meet_do_not_lock_each_other_out(postgres_dsn, table):
    """Two who keep the same pipelines in different orders both succeed."""
    stores = [PostgresState(postgres_dsn, table=table) for _ in range(2)]
    for one in stores:
        await one.open()
    names = [f"p{number}" for number in range(50)]

    await asyncio.gather(
        *(
            one.record(memories=[memory(name) for name in order], runs=[run(1, name) for name in order])
            for one in stores
            for order in (names, names[::-1])
            for _ in range(5)
        )
    )

    assert len(await stores[0].memories()) == len(await stores[0].runs(ALL_RUNS)) == 50
    for one in stores:
        await one.close()


async def test_a_silent_worker_owns_nothing_within_a_minute(postgres_dsn, table):
    """Signs of life make the claim last; without one it is over, and another's is not taken back."""
    clock = ManualClock()
    first, second = (PostgresState(postgres_dsn, table=table, clock=clock) for _ in range(2))
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


async def test_all_is_kept_or_nothing_when_the_server_refuses(store, admin, table):
    """A statement that fails takes back those before it."""
    await store.open()
    await admin.execute(f"ALTER TABLE {table}_decisions ADD CHECK (at < 0)")

    with pytest.raises(StoreError, match="CheckViolationError"):
        await store.record(memories=[memory()], runs=[run(1)], decisions=[skipped(1)])

    assert list(await store.memories()) == []
    assert list(await store.runs(ALL_RUNS)) == []
    await store.close()


async def test_lost_connections_are_made_again_and_the_claim_stays(store, admin):
    """The server ends all of them: the next calls connect anew, and nothing is kept twice."""
    await store.open()
    await store.claim(claim("first"))
    await store.record(decisions=[skipped(1)])
    ending = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'agora'"

    await admin.execute(ending)
    await store.record(memories=[memory()], runs=[run(1)], decisions=[skipped(2)])
    await admin.execute(ending)

    assert await store.claim(claim("first")) is None
    assert ids(await store.runs(ALL_RUNS)) == ["orders-1"]
    assert list(await store.decisions("orders")) == [skipped(2), skipped(1)]
    await store.close()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("memory = convert_to(replace(convert_from(memory, 'UTF8'), '7', '9'), 'UTF8')", "damaged memory.*set memory"),
        ("position = '8'", "damaged checkpoint.*set position to NULL in its row of"),
    ],
)
async def test_damage_is_told_with_its_remedy(store, admin, table, change, said):
    """What the next run goes on from is whole, or nobody goes on from it."""
    await store.open()
    await store.record(memories=[memory(runs=7)])
    await store.save_checkpoint("orders", 7)
    await admin.execute(f"UPDATE {table} SET {change}")

    with pytest.raises(StoreError, match=f"{said}"):
        await (store.memories() if "memory" in change else store.checkpoint("orders"))
    await store.close()


async def test_damaged_history_is_left_out_and_told(store, admin, table, caplog):
    """One bad row does not hide the others."""
    await store.open()
    await store.record(runs=[run(1), run(2)])
    await admin.execute(f"UPDATE {table}_runs SET crc = crc + 1 WHERE number = 1")

    assert ids(await store.runs(ALL_RUNS)) == ["orders-2"]
    assert [record.entry for record in caplog.records] == ["run orders-1"]
    await store.close()


async def test_it_takes_no_table_of_another_sort(postgres_dsn, table, store):
    """Dead letters and state have tables of their own."""
    letters = PostgresDlq(postgres_dsn, table=table)
    await letters.open()
    await letters.close()

    with pytest.raises(ConfigError, match="is not a state store of Agora; choose another name"):
        await store.open()


@pytest.mark.parametrize("table", ["", "Agora", "a.b.c", "a-b", 7, "x" * 49])
def test_a_name_that_is_none_is_refused(table):
    """Before anything is connected to."""
    with pytest.raises(ConfigError, match=r"table must be a name such as agora_state or ops\.agora_state"):
        PostgresState("postgresql://127.0.0.1/test", table=table)


async def test_the_longest_name_makes_a_store(postgres_dsn, postgres_schema):
    """Its tables and indexes have names of their own."""
    store = PostgresState(postgres_dsn, table=f"{postgres_schema}.{'x' * 48}")
    await store.open()

    await store.record(memories=[memory()], runs=[run(1)], decisions=[skipped(1)])

    assert await store.ask(request()) == 1
    await store.close()


async def test_its_address_shows_nowhere(store, postgres_dsn):
    """Neither in what it is called, nor in errors."""
    hidden = PostgresState("postgresql://agora:s3cret@127.0.0.1:1/test", timeout_seconds=1)

    with pytest.raises(StoreError) as caught:
        await hidden.open()

    assert "s3cret" not in f"{hidden!r} {caught.value} {hidden._server!r}"
    assert "the state table 'agora_state' in PostgreSQL at 127.0.0.1:1/test" in str(caught.value)


async def test_pruning_ends_with_the_last_pipeline(store):
    """More pipelines than rows are deleted at a time: each keeps its last run."""
    await store.open()
    names = [f"p{number:04}" for number in range(1200)]
    await store.record(runs=[run(number, name) for name in names for number in (1, 2)])

    assert await store.prune(NOON + 100 * MINUTE, keep=1) == 1200
    assert sorted(ids(await store.runs(ALL_RUNS))) == [f"{name}-2" for name in names]
    await store.close()
