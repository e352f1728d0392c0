"""The SQLite dead-letter store beyond its contract: commits, clocks, failures of its thread and its disk."""

import asyncio
import sqlite3
import stat
import threading
from contextlib import closing
from dataclasses import replace
from datetime import timedelta

import pytest

from agora_core.builtin import dlq_queries as queries
from agora_core.builtin.dlq_schema import SCHEMA
from agora_core.builtin.sqlite_dlq import SqliteDlq
from agora_core.spec.errors import ConfigError, StoreError
from agora_core.spec.letters import KEPT_FAILURES, RESOLVED, UNKNOWN, Failure, Fidelity, LetterQuery, LetterState
from agora_core.testing.clocks import ManualClock
from agora_core.testing.dlq_samples import AGAIN, EVERYTHING, HOUR, NOON, letter, letters, uids


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "dlq" / "letters.db"


@pytest.fixture
async def store(path, clock):
    store = SqliteDlq(path, busy_timeout_seconds=0.05, clock=clock)
    await store.open()
    yield store
    await store.close()


def ours():
    return [thread for thread in threading.enumerate() if thread.name.startswith("agora")]


def writing(store, work):
    """Run *work* on the store's writing connection, as its own jobs are."""
    return store._store.write(work)


async def test_a_constructor_only_stores(tmp_path):
    """Nothing is made before the store is opened; its repr says which file it is."""
    store = SqliteDlq(tmp_path / "a" / "letters.db")

    assert list(tmp_path.iterdir()) == []
    assert repr(store) == f"SqliteDlq('{tmp_path}/a/letters.db')"


async def test_the_file_is_its_owners_alone(store, path):
    """The database, its log and its lock can be read by nobody else; other files there are ours too."""
    await store.put(letters("a"))

    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}

    assert set(modes) == {"letters.db", "letters.db-wal", "letters.db-shm", "letters.db-lock", "letters.db-ballast"}
    assert set(modes.values()) == {0o600}


async def test_the_pragmas_stick(store):
    """Every commit is synced, and the file was made with large pages that can be given back."""
    names = ("journal_mode", "synchronous", "page_size", "auto_vacuum", "trusted_schema", "cell_size_check")

    found = await writing(store, lambda c: {name: c.execute(f"PRAGMA {name}").fetchone()[0] for name in names})

    assert found == {
        "journal_mode": "wal",
        "synchronous": 2,
        "page_size": 8192,
        "auto_vacuum": 2,
        "trusted_schema": 0,
        "cell_size_check": 1,
    }


async def test_a_pragma_that_does_not_stick_refuses_the_store(path, monkeypatch):
    """On a file system without WAL the store is not used."""
    plain = SqliteDlq(path)
    monkeypatch.setattr(type(plain._store._file), "_pragmas", lambda self, writing: [("synchronous", "full", 3)])

    with pytest.raises(ConfigError, match=r"synchronous = 2 where 3 is needed; is it on a network file system\?"):
        await plain.open()


async def test_threads_end_at_the_last_close(path):
    """Nothing of the store runs before the first open or after the last close, and the log is gone from the disk."""
    store = SqliteDlq(path)
    await store.open()
    await store.open()
    await store.put(letters("a"))
    await store.find(LetterQuery())
    running = ours()
    await store.close()
    still = ours()
    await store.close()

    assert len(running) == len(still) == 2
    assert ours() == []
    assert sorted(file.name for file in path.parent.iterdir()) == [
        "letters.db",
        "letters.db-ballast",
        "letters.db-lock",
    ]


async def test_a_store_that_is_not_open_says_so(path):
    """Using it before `open` or after `close` is an error with what to do."""
    store = SqliteDlq(path)
    with pytest.raises(StoreError, match="is not open; await its open"):
        await store.put(letters("a"))
    await store.open()
    await store.close()

    with pytest.raises(StoreError, match="is not open"):
        await store.find(LetterQuery())


async def test_concurrent_puts_share_commits(store):
    """Many puts at one time take far fewer commits than there are puts."""
    before = store._store.commits

    await asyncio.gather(*(store.put(letters(f"{number}")) for number in range(200)))

    assert store._store.commits - before < 50
    assert await store.count(LetterQuery()) == 200


async def test_a_group_is_bounded(store):
    """A flood is written in pieces of some MiB, so that no transaction grows without end."""
    before = store._store.commits
    big = "x" * (1 << 20)

    await asyncio.gather(*(store.put([letter(f"{number}", record=big)]) for number in range(12)))

    assert store._store.commits - before >= 3


async def held_writer(store):
    """Keep the writing thread busy until the returned event is set."""
    begun, release = threading.Event(), threading.Event()

    def hold(connection):
        begun.set()
        release.wait(10)

    job = asyncio.ensure_future(writing(store, hold))
    while not begun.is_set():
        await asyncio.sleep(0)
    return job, release


async def test_a_put_that_is_cancelled_while_it_waits_is_never_begun(store):
    """The others of its group are kept; nothing of the cancelled one is."""
    job, release = await held_writer(store)
    puts = [asyncio.ensure_future(store.put(letters(uid))) for uid in "abc"]
    await asyncio.sleep(0)

    puts[1].cancel()
    await asyncio.sleep(0)
    release.set()
    ends = await asyncio.gather(job, *puts, return_exceptions=True)

    assert isinstance(ends[2], asyncio.CancelledError)
    assert uids(await store.find(LetterQuery())) == ["a", "c"]


async def test_closing_writes_what_waits(store, path):
    """Puts that were asked for before the close are on disk after it."""
    _, release = await held_writer(store)
    put = asyncio.ensure_future(store.put(letters("a")))
    await asyncio.sleep(0)

    closing_ = asyncio.ensure_future(store.close())
    await asyncio.sleep(0)
    release.set()
    await asyncio.gather(put, closing_)

    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT uid FROM letters").fetchall() == [("a",)]


async def test_a_cancelled_open_leaves_nothing_open(path):
    """What the thread opened after all is closed again, and the cancellation is not swallowed."""
    store = SqliteDlq(path)
    opening = asyncio.ensure_future(store.open())
    await asyncio.sleep(0)
    opening.cancel()

    with pytest.raises(asyncio.CancelledError):
        await opening

    assert ours() == []
    with pytest.raises(StoreError, match="is not open"):
        await store.last_id()


async def test_a_cancelled_close_closes(path):
    """A close goes on to its end, then the cancellation is raised."""
    store = SqliteDlq(path)
    await store.open()
    ending = asyncio.ensure_future(store.close())
    await asyncio.sleep(0)
    ending.cancel()

    with pytest.raises(asyncio.CancelledError):
        await ending

    assert ours() == []


async def test_opens_at_one_time_make_one_file(path):
    """Many opens of one store, and of several on one path, agree on the file."""
    stores = [SqliteDlq(path) for _ in range(4)]
    await asyncio.gather(*(store.open() for store in stores * 2))
    await asyncio.gather(*(store.put(letters(f"{number}")) for number, store in enumerate(stores)))

    counts = [await store.count(LetterQuery()) for store in stores]
    await asyncio.gather(*(store.close() for store in stores * 2))

    assert counts == [4, 4, 4, 4]
    assert ours() == []


@pytest.mark.fault(41)
async def test_a_thread_that_dies_fails_everyone_who_waits(store, path):
    """Nobody hangs: those in the group, those behind it and those who come later get an error that says why."""

    def die(connection):
        raise SystemExit("as in a bug")

    _, release = await held_writer(store)
    waiting = [
        asyncio.ensure_future(writing(store, die)),
        *(asyncio.ensure_future(store.put([x])) for x in letters("a", "b")),
    ]
    await asyncio.sleep(0)
    release.set()
    ends = await asyncio.gather(*waiting, return_exceptions=True)
    with pytest.raises(StoreError, match="its thread died of SystemExit: as in a bug"):
        await store.put(letters("c"))

    assert all(isinstance(end, StoreError) for end in ends)
    await store.close()
    await store.open()
    await store.put(letters("d"))
    assert uids(await store.find(LetterQuery())) == ["d"]


async def test_those_behind_a_dying_thread_are_told(store):
    """What was asked for while the thread was about to die is not left waiting."""
    begun, release = threading.Event(), threading.Event()

    def die(connection):
        begun.set()
        release.wait(10)
        raise SystemExit

    dying = asyncio.ensure_future(writing(store, die))
    while not begun.is_set():
        await asyncio.sleep(0)
    behind = [asyncio.ensure_future(store.put([x])) for x in letters("a", "b")]
    await asyncio.sleep(0)
    behind[0].cancel()
    await asyncio.sleep(0)
    release.set()

    ends = await asyncio.gather(dying, *behind, return_exceptions=True)

    assert [type(end) for end in ends] == [StoreError, asyncio.CancelledError, StoreError]


@pytest.mark.parametrize("name", ["agora opens", "agora writes"])
async def test_a_system_without_threads_left_is_said(path, monkeypatch, name):
    """When no thread can be started the store is not opened, and nothing is left open."""
    real = threading.Thread.start

    def start(self):
        if self.name.startswith(name):
            raise RuntimeError("can't start new thread")
        real(self)

    monkeypatch.setattr(threading.Thread, "start", start)
    store = SqliteDlq(path)

    with pytest.raises(StoreError, match="can't start new thread"):
        await store.open()
    monkeypatch.undo()
    await store.open()
    await store.close()


async def test_one_failure_in_a_group_is_its_own(store):
    """A job that fails is undone alone; the others of its transaction are kept."""

    def half(connection):
        connection.execute("DELETE FROM letters")
        raise ValueError("half-way")

    await store.put(letters("first"))
    _, release = await held_writer(store)
    jobs = [
        asyncio.ensure_future(job)
        for job in (store.put(letters("a")), writing(store, half), writing(store, lambda c: c.execute("nonsense")))
    ]
    jobs.append(asyncio.ensure_future(store.put(letters("b"))))
    await asyncio.sleep(0)
    release.set()
    ends = await asyncio.gather(*jobs, return_exceptions=True)

    assert isinstance(ends[1], ValueError)
    assert isinstance(ends[2], StoreError)
    assert uids(await store.find(LetterQuery())) == ["first", "a", "b"]


@pytest.mark.fault(14)
async def test_a_full_disk_loses_nothing_that_was_acknowledged(store):
    """The put fails with the path and the bytes needed; what was there stays; it goes on when there is room."""
    await store.put(letters("a"))
    await writing(store, lambda c: c.execute(f"PRAGMA max_page_count = {c.execute('PRAGMA page_count').fetchone()[0]}"))

    with pytest.raises(StoreError, match=r"the disk of the dead-letter store '.*letters.db' is full: \d{6,} bytes"):
        await store.put([letter("big", record="x" * 200_000)])
    after = uids(await store.find(LetterQuery()))
    await store.put(letters("b"))  # the connection was made anew, and with it the limit went

    assert after == ["a"]
    assert uids(await store.find(LetterQuery())) == ["a", "b"]


async def test_a_letter_that_is_none_fails_alone(store):
    """A caller's mistake is told to that caller; the thread lives on."""
    _, release = await held_writer(store)
    bad = asyncio.ensure_future(store.put([replace(letter("a"), first_failed_at=None)]))
    good = asyncio.ensure_future(store.put(letters("b")))
    await asyncio.sleep(0)
    release.set()

    ends = await asyncio.gather(bad, good, return_exceptions=True)

    assert isinstance(ends[0], AttributeError)
    assert uids(await store.find(LetterQuery())) == ["b"]


@pytest.mark.parametrize("then", [lambda path: None, lambda path: path.write_bytes(b"")], ids=["removed", "replaced"])
async def test_a_file_that_is_taken_away_is_noticed(store, path, then):
    """Nothing is acknowledged into a file that nobody would find; put back, it is used again."""
    await store.put(letters("a"))
    path.rename(path.with_name("elsewhere"))
    then(path)

    with pytest.raises(StoreError, match="was moved, removed or replaced while it was open; put it back"):
        await store.put(letters("b"))
    path.with_name("elsewhere").rename(path)
    await store.put(letters("c"))

    assert uids(await store.find(LetterQuery())) == ["a", "c"]


@pytest.mark.parametrize("error", [sqlite3.OperationalError("disk I/O error"), OSError(5, "Input/output error")])
@pytest.mark.fault(39)
async def test_a_failed_sync_is_never_success(store, monkeypatch, error):
    """When the commit fails, everyone in the group is told so, and the next one starts from what is on disk."""
    real = store._store._held().writer

    def fail(*args):
        monkeypatch.undo()
        raise error

    monkeypatch.setattr("agora_core.builtin.sqlite_writer.transact", fail)
    with pytest.raises(StoreError, match="failed"):
        await store.put(letters("a"))

    assert real._connection is None
    await store.put(letters("b"))
    assert uids(await store.find(LetterQuery())) == ["b"]


async def test_a_lock_that_stays_is_an_error(store, path):
    """Reading goes on while another connection writes; writing waits for the busy time-out, then says why."""
    await store.put(letters("a"))
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match=r"letters.db' is locked by another process for more than 0.05 seconds"):
            await store.put(letters("b"))
        seen = uids(await store.find(LetterQuery()))
        other.execute("ROLLBACK")

    await store.put(letters("c"))
    assert seen == ["a"]
    assert uids(await store.find(LetterQuery())) == ["a", "c"]


@pytest.mark.fault(40)
async def test_a_reader_that_stays_stops_nobody(store, path):
    """While another process reads one moment for long, puts go on."""
    await store.put(letters("a"))
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN")
        other.execute("SELECT count(*) FROM letters").fetchone()
        await store.put(letters("b"))

    assert await store.count(LetterQuery()) == 2


async def test_a_lease_ends_by_the_clock(store, clock):
    """A letter is given to someone else once its time is over, not a moment earlier."""
    await store.put(letters("a"))
    await store.lease(LetterQuery(), token="one", lasting=timedelta(minutes=5), limit=1)
    clock.advance(timedelta(minutes=5) - timedelta(microseconds=1))
    early = await store.lease(LetterQuery(), token="two", lasting=HOUR, limit=1)
    clock.advance(timedelta(microseconds=1))

    late = await store.lease(LetterQuery(), token="two", lasting=HOUR, limit=1)

    assert (early, late) == ({}, {1: 3})
    assert await store.resolve([1], token="one", state=LetterState.REPLAYED) == 0


async def test_a_lease_for_ever_is_long(store, clock):
    """The longest timedelta is no overflow."""
    await store.put(letters("a"))

    assert await store.lease(LetterQuery(), token="t", lasting=timedelta.max, limit=1)


async def test_the_last_failures_are_kept(store, clock, path):
    """A row remembers a bounded list of later failures, the first one apart; the letter shows the latest."""
    await store.put(letters("a"))
    for number in range(KEPT_FAILURES + 3):
        clock.advance(timedelta(hours=1))
        await store.lease(LetterQuery(), token="t", lasting=HOUR, limit=1)
        await store.give_back({1: Failure(type="E", message=str(number), traceback="t" * 10**6)}, token="t")

    (found,) = await store.find(LetterQuery())
    (log,) = await store._store.read(lambda c: c.execute("SELECT attempts_log FROM letters").fetchone())

    assert found.error == letter("a").error
    assert (found.last_error.type, found.last_error.message) == ("E", str(KEPT_FAILURES + 2))
    assert found.last_failed_at == clock.now()
    assert log.count('"message"') == KEPT_FAILURES
    assert len(log) < KEPT_FAILURES * 20_000


@pytest.mark.parametrize("state", [LetterState.DEAD, LetterState.LEASED, LetterState.DISCARDED])
async def test_a_letter_is_resolved_as_replayed_or_parked(store, state):
    """Any other end of a lease is the caller's mistake."""
    with pytest.raises(ValueError, match="becomes replayed or parked"):
        await store.resolve([1], token="t", state=state)


async def test_many_are_discarded_in_pieces(store):
    """More letters than one transaction takes are all discarded, and counted."""
    await store.put(letters(*map(str, range(2500))))

    assert await store.discard(LetterQuery()) == 2500
    assert await store.count(LetterQuery()) == 0


async def test_metadata_never_makes_the_write_fail(store):
    """Lone surrogates, NULs, giant messages and naive moments are kept, escaped and cut; queries find them."""
    odd = replace(
        letter("u\ud800\x00", pipeline_id="p\udfff", at=NOON.replace(tzinfo=None)),
        error=Failure(type="E\ud800", message="m\ud800" * 10**6, traceback="t" * 10**6),
    )

    await store.put([odd])
    (found,) = await store.find(
        LetterQuery(pipeline_id="p\udfff", error_type="E\ud800", since=NOON.replace(tzinfo=None))
    )

    assert found.uid == "u\\ud800\x00"
    assert len(found.error.message) < 8192 * 6
    assert len(found.error.traceback) == 16384
    assert found.first_failed_at == NOON


async def test_an_origin_is_kept_only_exactly(store):
    """An origin that is the record comes back as that; one that is not exact is unknown, beside an exact record."""
    record = {"n": 1}
    await store.put(
        [
            replace(letter("same", record=record), origin=record),
            replace(letter("opaque origin", record=record), origin=object()),
            replace(letter("opaque record", record=object()), origin=record),
            replace(letter("opaque both", record=(both := object())), origin=both),
        ]
    )

    same, no_origin, no_record, neither = await store.find(LetterQuery())

    assert same.origin is same.record
    assert (no_origin.fidelity, no_origin.origin) == (Fidelity.EXACT, UNKNOWN)
    assert (no_record.fidelity, no_record.origin) == (Fidelity.OPAQUE, record)
    assert (neither.fidelity, neither.origin) == (Fidelity.OPAQUE, UNKNOWN)


async def test_an_opaque_letter_stays_opaque(store):
    """A description that is put again is not taken for a record."""
    await store.put(
        [replace(letter("a", record={"opaque": "gone"}), fidelity=Fidelity.OPAQUE, state=LetterState.LEASED)]
    )

    (found,) = await store.find(LetterQuery())

    assert (found.record, found.fidelity, found.state) == ({"opaque": "gone"}, Fidelity.OPAQUE, LetterState.DEAD)


async def test_a_found_lease_shows_its_state_by_the_clock(store, clock):
    """While it lasts it is leased, for queries, counts and statistics; then all of them say dead."""
    await store.put(letters("a", "b"))
    await store.lease(LetterQuery(), token="t", lasting=HOUR, limit=1)
    during = {group.state: group.count for group in await store.stats()}
    clock.advance(HOUR)

    after = {group.state: group.count for group in await store.stats()}

    assert during == {LetterState.DEAD: 1, LetterState.LEASED: 1}
    assert after == {LetterState.DEAD: 2}
    assert [one.state for one in await store.find(EVERYTHING)] == [LetterState.DEAD] * 2


@pytest.mark.parametrize(
    "query",
    [
        LetterQuery(),
        LetterQuery(pipeline_id="p"),
        LetterQuery(run_id="r"),
        LetterQuery(pipeline_id="p", stage="s", error_type="E"),
        LetterQuery(ids=(1, 2)),
        EVERYTHING,
    ],
    ids=str,
)
def test_queries_use_indexes(query):
    """Neither a whole table is read nor anything sorted, so that a million letters take no longer than a hundred."""
    dead = replace(query, states=query.states or (LetterState.DEAD, LetterState.PARKED))
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(SCHEMA)
        for statement in (
            queries.find(query, now=1, limit=10, after_id=5),
            queries.count(query, now=1),
            queries.lease(dead, now=1, token="t", until=2, limit=10),
            queries.move(dead, LetterState.DISCARDED, now=1, limit=10),
            queries.purge(replace(query, states=RESOLVED), now=1, limit=10),
            queries.page(5, 10),
        ):
            plan = connection.execute(f"EXPLAIN QUERY PLAN {statement.sql}", statement.parameters).fetchall()
            steps = [step for *_, step in plan]
            assert not [step for step in steps if step.startswith(("SCAN letters", "USE TEMP B-TREE"))], steps


@pytest.mark.parametrize("field", ["pipeline_id", "run_id", "stage", "error_type"])
def test_letters_that_are_named_are_looked_up(field):
    """A replay leases its letters by their ids; the other letters of their pipeline, or of their run, are not read."""
    query = LetterQuery(ids=(1, 2), up_to_id=9, **{field: "x"})
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(SCHEMA)
        for statement in (
            queries.find(query, now=1, limit=10, after_id=5),
            queries.lease(query, now=1, token="t", until=2, limit=10),
        ):
            plan = connection.execute(f"EXPLAIN QUERY PLAN {statement.sql}", statement.parameters).fetchall()
            assert not [step for *_, step in plan if "INDEX by_" in step], plan


async def test_the_loop_goes_on_while_letters_are_written(store):
    """Encoding and syncing happen elsewhere: the loop turns many times during one large put."""
    turns = 0

    async def turn():
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    turning = asyncio.ensure_future(turn())
    await store.put([letter(str(number), record=list(range(100))) for number in range(300)])
    turning.cancel()

    assert turns > 3
    await asyncio.gather(turning, return_exceptions=True)


async def test_a_give_back_of_what_was_never_leased_does_nothing(store):
    """Ids that are unknown or dead are not touched."""
    await store.put(letters("a"))

    assert await store.give_back({1: AGAIN, 99: None}, token="t") == 0
    assert await store.give_back({}, token="t") == 0
