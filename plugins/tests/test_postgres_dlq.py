"""The store `postgres` against a real server: the contract of dead-letter stores, and what only a server can do."""

import asyncio
import logging
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from itertools import count

import pytest

pytest.importorskip("asyncpg", reason="the extra `postgres` is not installed")

import asyncpg

from agora.plugins import ConfigError, DlqStore, LetterQuery, LetterState, StoreError
from agora.testing import DlqStoreContract, ManualClock
from agora_core.testing.dlq_samples import AGAIN, EVERYTHING, HOUR, letter, letters, letters_by_id, uids
from agora_plugins.postgres_dlq import PostgresDlq

pytestmark = pytest.mark.services


class TestPostgresDlq(DlqStoreContract):
    @pytest.fixture(autouse=True)
    def _on_a_server(self, postgres_dsn: str, postgres_schema: str) -> None:
        self.dsn, self.schema, self.tables = postgres_dsn, postgres_schema, count()

    def make_store(self) -> DlqStore:
        self.table = f"{self.schema}.letters_{next(self.tables)}"
        return self.make_store_again()

    def make_store_again(self) -> DlqStore:
        return PostgresDlq(self.dsn, table=self.table)


class TestPostgresDlqByAClock(TestPostgresDlq):
    def make_store_again(self) -> DlqStore:
        return PostgresDlq(self.dsn, table=self.table, clock=self.clock)


@pytest.fixture
def table(postgres_schema: str) -> str:
    return f"{postgres_schema}.letters"


@pytest.fixture
def store(postgres_dsn: str, table: str) -> PostgresDlq:
    return PostgresDlq(postgres_dsn, table=table)


@pytest.fixture
async def admin(postgres_dsn: str) -> Iterator[asyncpg.Connection]:
    connection = await asyncpg.connect(postgres_dsn)
    yield connection
    await connection.close()


async def test_workers_that_start_at_one_moment_make_one_table(postgres_dsn, table):
    """Twenty opens race, and all of them end with the same store."""
    stores = [PostgresDlq(postgres_dsn, table=table, max_connections=1) for _ in range(20)]

    await asyncio.gather(*(one.open() for one in stores))
    await asyncio.gather(*(one.put(letters(f"{place}")) for place, one in enumerate(stores)))

    assert await stores[0].count(LetterQuery()) == 20
    await asyncio.gather(*(one.close() for one in stores))


async def test_two_stores_of_one_table_never_lease_the_same(postgres_dsn, table):
    """Leases of several connections skip what another has locked, and take all of it together."""
    stores = [PostgresDlq(postgres_dsn, table=table, max_connections=2) for _ in range(4)]
    for one in stores:
        await one.open()
    await stores[0].put(letters(*map(str, range(200))))

    leased = await asyncio.gather(
        *(stores[n % 4].lease(LetterQuery(), token=f"t{n}", lasting=HOUR, limit=13) for n in range(20))
    )

    taken = await letters_by_id(stores[0], [number for some in leased for number in some])
    assert sum(map(len, leased)) == 200
    assert uids(taken) == [str(number) for number in range(200)]
    for one in stores:
        await one.close()


async def test_a_connection_that_the_server_closed_is_made_anew(store, admin):
    """After the server has ended its connections, each call works as before."""
    await store.open()
    await store.put(letters("a"))
    await admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'agora'")

    await store.put(letters("b"))

    leased = await store.lease(LetterQuery(), token="t", lasting=HOUR, limit=9)

    assert uids(await letters_by_id(store, leased)) == ["a", "b"]
    await store.close()


async def test_a_connection_that_breaks_in_a_put_is_tried_once_more(store, admin, table):
    """The second attempt keeps each letter once, whatever the first one did."""
    await store.open()
    lock = admin.transaction()
    await lock.start()
    await admin.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
    putting = asyncio.create_task(store.put(letters("a", "b")))
    while not putting.done() and not await admin.fetchval(
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
        " WHERE application_name = 'agora' AND wait_event_type = 'Lock' AND query LIKE '%' || $1 || '%'",
        table.partition(".")[0],
    ):
        await asyncio.sleep(0.01)
        await admin.execute("SELECT pg_stat_clear_snapshot()")  # a transaction sees who is at work as it first saw it

    await lock.rollback()
    await putting

    assert uids(await store.find(LetterQuery())) == ["a", "b"]
    await store.close()


async def test_a_server_that_does_not_answer_is_given_up(postgres_dsn, table, admin):
    """A call ends with the time-out in its sentence, and the next one works."""
    store = PostgresDlq(postgres_dsn, table=table, timeout_seconds=0.3)
    await store.open()
    lock = admin.transaction()
    await lock.start()
    await admin.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")

    with pytest.raises(StoreError, match=r"did not answer within 0\.3 s"):
        await store.count(LetterQuery())

    await lock.rollback()
    assert await store.count(LetterQuery()) == 0
    await store.close()


async def test_a_table_that_was_dropped_is_an_error_with_its_name(store, admin, table):
    """Nothing is made anew beside what was lost."""
    await store.open()
    await admin.execute(f"DROP TABLE {table}")

    with pytest.raises(StoreError, match=f"the dead-letter table '{table}' in PostgreSQL at .* is gone"):
        await store.put(letters("a"))

    await store.close()


async def test_another_table_of_that_name_is_refused(store, admin, table):
    """A table that Agora did not make is not touched."""
    await admin.execute(f"CREATE TABLE {table} (id int)")

    with pytest.raises(ConfigError, match="is not a dead-letter store of Agora"):
        await store.open()


async def test_a_newer_format_is_refused(store, admin, table):
    """A table of a later Agora is not read as if it were of this one."""
    await store.open()
    await store.close()
    await admin.execute(f"COMMENT ON TABLE {table} IS 'dead letters of Agora, format 99'")

    with pytest.raises(ConfigError, match=r"written by a newer Agora \(format 99; this one knows 2"):
        await store.open()


async def test_an_unlogged_table_is_refused(store, admin, table):
    """A crash would empty it."""
    await store.open()
    await store.close()
    await admin.execute(f"ALTER TABLE {table} SET UNLOGGED")

    with pytest.raises(ConfigError, match="is unlogged"):
        await store.open()


async def test_an_acknowledgement_that_a_crash_undoes_is_refused(postgres_dsn, table):
    """`synchronous_commit` is switched on for the store's own connections, and not switched off by its address."""
    mark = "&" if "?" in postgres_dsn else "?"
    store = PostgresDlq(f"{postgres_dsn}{mark}synchronous_commit=off", table=table)

    with pytest.raises(ConfigError, match="synchronous_commit is off"):
        await store.open()


async def test_a_server_that_may_lose_power_is_told_of_once(store, admin, caplog, monkeypatch):
    """`fsync` off is the owner's decision, and said once, however often a run opens the store."""
    monkeypatch.setattr(
        "agora_plugins.postgres_server._ASK",
        "SELECT 'on' AS commit, 'off' AS fsync, 'on' AS pages, false AS standby, 'off' AS readonly",
    )

    with caplog.at_level(logging.WARNING, "agora.plugins"):
        for _ in range(3):
            await store.open()
            await store.close()

    assert [record.message for record in caplog.records] == ["dead letters may not survive a power cut"]


async def test_the_servers_clock_ends_leases_unless_another_is_given(store, postgres_dsn, table):
    """Machines whose clocks differ agree on which leases are over; a test's clock is asked where it is given."""
    clock = ManualClock()
    timed = PostgresDlq(postgres_dsn, table=table, clock=clock)
    await store.open()
    await timed.open()
    await store.put(letters("a"))

    leased = await timed.lease(LetterQuery(), token="t", lasting=timedelta(minutes=1), limit=1)
    (taken,) = await letters_by_id(timed, leased)
    held = await timed.count(LetterQuery())
    clock.advance(timedelta(minutes=1))
    free = await timed.count(LetterQuery())

    assert (taken.lease_until, held, free) == (clock.now(), 0, 1)
    await store.close()
    await timed.close()


async def test_a_nul_is_kept_as_an_escape(store):
    """PostgreSQL has no text with a NUL: names and messages keep a picture of it, records keep it as it is."""
    put = replace(letter("a", stage="middleware:\0", record="\0"), last_error=replace(AGAIN, message="\0"))
    await store.open()
    await store.put([put])

    (found,) = await store.find(LetterQuery(stage="middleware:\0"))

    assert (found.stage, found.record, await store.verify()) == ("middleware:\\x00", "\0", [])
    await store.close()


async def test_a_flipped_bit_is_found(store, admin, table):
    """`verify` names the letter, and what is read of it is opaque and says why."""
    await store.open()
    await store.put([letter("a", record={"n": 1}), letter("b", record={"n": 2})])
    await admin.execute(f"UPDATE {table} SET record = set_byte(record, 2, 111) WHERE uid = 'b'")

    (damage,) = await store.verify()

    assert (damage.uid, damage.problem) == ("b", "the row does not fit its checksum: it was changed on disk")
    await store.close()


@pytest.mark.parametrize(
    ("dsn", "error", "said"),
    [
        (
            "postgresql://agora:s3cret@127.0.0.1:1/test",
            StoreError,
            "in PostgreSQL at 127.0.0.1:1/test cannot be reached",
        ),
        ("postgresql://postgres:s3cret@{host}/no_such_database", ConfigError, "check user, password and database"),
        ("postgresql://postgres:s3@cret@{host}/test", ConfigError, "more than one '@' before its host"),
        ("postgresql://postgres:s3/cret@{host}/test", ConfigError, "dsn cannot be read"),
        ("postgresql://postgres:s3cret@{host}/test?sslmode=s3cret", ConfigError, "dsn"),
        ("mysql://postgres:s3cret@{host}/test", ConfigError, "does not begin with postgresql:// or postgres://"),
    ],
)
async def test_no_error_has_a_secret_in_it(postgres_dsn, table, dsn, error, said):
    """Whatever is wrong with the address, neither the sentence nor what it was raised from tells the password."""
    host = postgres_dsn.rpartition("@")[2].partition("/")[0]

    async def opened() -> None:
        store = PostgresDlq(dsn.format(host=host), table=table, timeout_seconds=5)
        assert "s3" not in repr(store) + repr(store._server)
        await store.open()

    with pytest.raises(error, match=said) as caught:
        await opened()

    assert "s3" not in str(caught.value)
    assert "cret" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None or caught.value.__suppress_context__


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"table": "x; DROP TABLE y"}, "table must be a name"),
        ({"table": "a.b.c"}, "table must be a name"),
        ({"table": 3}, "table must be a name"),
        ({"max_connections": 0}, "max_connections must be a whole number of at least 1, not 0"),
        ({"timeout_seconds": 0}, "timeout_seconds must be a finite number, from 0.1"),
        ({"dsn": 7}, "dsn must be a text such as postgresql://"),
    ],
)
def test_options_that_cannot_be_used_are_refused_when_they_are_written(options, said):
    """Before anything connects."""
    with pytest.raises(ConfigError, match=said):
        PostgresDlq(**{"dsn": "postgresql://127.0.0.1/test", **options})


async def test_a_store_that_is_not_open_says_so(store):
    """And names itself."""
    with pytest.raises(StoreError, match=r"the dead-letter table .* is not open; await its open\(\) first"):
        await store.count(LetterQuery())


def test_a_loop_that_ended_with_the_store_open_leaves_it_usable(store):
    """The connections of that loop are gone with it."""
    asyncio.run(store.open())

    async def counted() -> int:
        await store.open()
        try:
            return await store.count(EVERYTHING)
        finally:
            await store.close()

    assert asyncio.run(counted()) == 0


def test_two_names_of_one_table_are_one_store(postgres_dsn):
    """So that a command does not count its letters twice."""
    one, same, other = (PostgresDlq(postgres_dsn, table=name) for name in ("a", "a", "b"))

    assert len({one, same, other}) == 2
    assert one == same != other


async def test_ids_that_no_store_can_have_match_nothing(store):
    """A number beyond PostgreSQL's is an empty answer, not an error."""
    await store.open()
    await store.put(letters("a"))

    assert await store.find(LetterQuery(ids=(2**70,))) == []
    assert uids(await store.find(LetterQuery(up_to_id=2**70))) == ["a"]
    assert await store.resolve([2**70], token="t", state=LetterState.PARKED) == 0
    assert await store.give_back({2**70: None}, token="t") == 0
    await store.close()


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (asyncpg.DiskFullError("could not extend file"), "is out of resources: could not extend file; free some"),
        (asyncpg.TooManyConnectionsError("sorry"), "is out of resources: sorry"),
        (asyncpg.ReadOnlySQLTransactionError("cannot execute"), "is read-only by now: cannot execute"),
        (asyncpg.DataError("password=s3cret\nis odd"), r"failed: DataError: password=\*\*\* is odd"),
        (ConnectionResetError(), "cannot be reached: ConnectionResetError; is the server running"),
    ],
)
def test_each_error_of_the_server_is_a_sentence_with_what_to_do(error, said):
    """Whose text is on one line, and without what looks like a secret."""
    store = PostgresDlq("postgresql://127.0.0.1/test")

    with pytest.raises(StoreError, match=f"^the dead-letter table 'agora_dead_letters' in PostgreSQL at .* {said}"):
        raise store._server.explain(error)


async def test_a_user_who_may_not_make_the_table_is_told(postgres_dsn, postgres_schema, admin):
    """Before a single letter could be lost."""
    role = f"{postgres_schema}_reader"
    await admin.execute(f"CREATE ROLE {role} LOGIN")
    try:
        host = postgres_dsn.rpartition("@")[2]
        with pytest.raises(
            ConfigError, match=r"cannot be made or upgraded: permission denied .*; grant the user what is missing"
        ):
            await PostgresDlq(f"postgresql://{role}@{host}", table=f"{postgres_schema}.letters").open()
    finally:
        await admin.execute(f"DROP ROLE {role}")


async def test_a_standby_is_refused(store, monkeypatch):
    """Its writes would fail one by one."""
    monkeypatch.setattr(
        "agora_plugins.postgres_server._ASK",
        "SELECT 'on' AS commit, 'on' AS fsync, 'on' AS pages, true AS standby, 'on' AS readonly",
    )

    with pytest.raises(ConfigError, match="is on a read-only standby; give the address of the primary server"):
        await store.open()
