"""The store `redis` against real servers: the contract of dead-letter stores, and what only a server can do."""

import asyncio
import logging
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from datetime import timedelta
from itertools import count
from pathlib import Path

import pytest

pytest.importorskip("redis", reason="the extra `redis` is not installed")

import redis

from agora.plugins import ConfigError, DlqStore, LetterQuery, LetterState, StoreError
from agora.testing import DlqStoreContract, ManualClock
from agora_core.testing.dlq_samples import EVERYTHING, HOUR, letter, letters, letters_by_id, uids
from agora_plugins import redis_server
from agora_plugins.redis_dlq import RedisDlq

pytestmark = pytest.mark.services


class TestRedisDlq(DlqStoreContract):
    @pytest.fixture(autouse=True)
    def _on_a_server(self, redis_url: str, redis_prefix: str) -> None:
        self.url, self.prefix, self.stores = redis_url, redis_prefix, count()

    def make_store(self) -> DlqStore:
        self.place = f"{self.prefix}:{next(self.stores)}"
        return self.make_store_again()

    def make_store_again(self) -> DlqStore:
        return RedisDlq(self.url, prefix=self.place)


class TestRedisDlqByAClock(TestRedisDlq):
    def make_store_again(self) -> DlqStore:
        return RedisDlq(self.url, prefix=self.place, clock=self.clock)


@pytest.fixture
def store(redis_url: str, redis_prefix: str) -> RedisDlq:
    return RedisDlq(redis_url, prefix=redis_prefix)


@pytest.fixture
def admin(redis_url: str) -> Iterator["redis.Redis"]:
    with redis.from_url(redis_url) as client:
        yield client


class OwnServer:
    """A Redis of the test's own, which it may kill."""

    def __init__(self, directory: Path, *options: str) -> None:
        with socket.socket() as found:
            found.bind(("127.0.0.1", 0))
            self.port = found.getsockname()[1]
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.command = ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(directory)]
        self.command += ["--save", "", *options]
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(self.command, stdout=subprocess.DEVNULL)
        with redis.from_url(self.url) as client:
            for _ in range(500):
                try:
                    client.ping()
                    return
                except redis.RedisError:
                    time.sleep(0.01)
        raise AssertionError("the test's own Redis did not start")

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


@pytest.fixture
def own_server(tmp_path: Path, redis_url: str) -> Iterator[type[OwnServer]]:
    """Makes servers of the test's own: `own_server("--appendonly", "yes")`."""
    if shutil.which("redis-server") is None:
        pytest.skip("no program redis-server to start a server of the test's own")
    made: list[OwnServer] = []

    def make(*options: str) -> OwnServer:
        made.append(OwnServer(tmp_path, *options))
        return made[-1]

    yield make
    for server in made:
        server.kill()


async def test_two_stores_of_one_prefix_never_lease_the_same(redis_url, redis_prefix):
    """Leases of several connections share nothing, and take all of it together."""
    stores = [RedisDlq(redis_url, prefix=redis_prefix) for _ in range(4)]
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


async def test_a_connection_that_the_server_closed_is_made_anew(store, admin, redis_url):
    """After the server has ended its connections, each call works as before."""
    await store.open()
    await store.put(letters("a"))
    admin.client_kill_filter(_type="normal", skipme=True)
    await store.put(letters("b"))  # at once: what may be done twice is, and kept once
    async with redis.asyncio.from_url(redis_url) as other:
        await other.client_kill_filter(_type="normal", skipme=True)

    leased = await store.lease(LetterQuery(), token="t", lasting=HOUR, limit=9)

    assert uids(await letters_by_id(store, leased)) == ["a", "b"]
    await store.close()


async def test_what_was_acknowledged_outlives_a_killed_server(own_server):
    """With an append-only file that is synced always, `kill -9` of the server loses no letter; the store reconnects."""
    server = own_server("--appendonly", "yes", "--appendfsync", "always")
    store = RedisDlq(server.url)
    await store.open()
    for number in range(50):
        await store.put(letters(f"{number}"))
    server.kill()

    with pytest.raises(StoreError, match=r"the dead-letter store 'agora:dlq' in Redis at .* cannot be reached"):
        await store.put(letters("late"))
    server.start()

    assert uids(await store.find(LetterQuery())) == [str(number) for number in range(50)]
    await store.close()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ([], ["dead letters do not survive a restart of Redis"]),
        (["--appendonly", "yes"], ["a crash of Redis may lose the last second of dead letters"]),
        (["--appendonly", "yes", "--appendfsync", "always"], []),
    ],
)
async def test_a_server_that_may_forget_is_told_of_once(own_server, caplog, options, said):
    """What the server's settings promise is looked at when the store is opened, and said once."""
    store = RedisDlq(own_server(*options).url)

    with caplog.at_level(logging.WARNING, "agora.plugins"):
        for _ in range(3):
            await store.open()
            synced = store._connected.held.syncs
            await store.close()

    assert [record.message for record in caplog.records] == ([] if synced and len(options) == 2 else said)


async def test_where_the_server_can_be_asked_a_put_waits_for_its_file(store, monkeypatch):
    """From Redis 7.2 on a put returns when the append-only file has it, and says so when it does not."""
    answers = [[1, 0], [0, 0]]

    async def waitaof(client, *words):
        return answers.pop(0) if words[0] == "WAITAOF" else await plain(client, *words)

    plain = redis.asyncio.Redis.execute_command
    await store.open()
    object.__setattr__(store._connected.held, "syncs", True)
    monkeypatch.setattr(redis.asyncio.Redis, "execute_command", waitaof)

    await store.put(letters("a"))
    with pytest.raises(StoreError, match="did not write its append-only file within 30 s"):
        await store.put(letters("b"))

    assert answers == []
    await store.close()


async def test_a_server_that_evicts_is_refused(own_server):
    """A letter that nobody resolved must not vanish when the memory is full."""
    server = own_server("--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru")

    with pytest.raises(ConfigError, match="maxmemory-policy is allkeys-lru"):
        await RedisDlq(server.url).open()


async def test_a_full_server_is_an_error_and_loses_nothing(own_server):
    """What does not fit is not acknowledged; what was there stays."""
    server = own_server("--maxmemory", "5mb", "--maxmemory-policy", "noeviction")
    store = RedisDlq(server.url)
    await store.open()
    await store.put(letters("a"))

    large = [[letter(f"{number}", record="x" * 1_000_000)] for number in range(10)]
    puts = await asyncio.gather(*map(store.put, large), return_exceptions=True)
    with redis.from_url(server.url) as admin:
        admin.config_set("maxmemory", "100mb")

    kept = {uid for letters, end in zip(large, puts, strict=True) for uid in uids(letters) if end is None}
    assert {type(end) for end in puts} >= {StoreError}
    assert all("is out of memory" in str(end) for end in puts if end is not None)
    assert set(uids(await store.find(LetterQuery()))) == {"a"} | kept
    assert await store.verify() == []
    await store.close()


async def test_a_replica_is_refused(own_server, redis_url):
    """Its writes would go nowhere."""
    server = own_server()
    with redis.from_url(server.url) as client:
        client.replicaof("127.0.0.1", 1)

    with pytest.raises((ConfigError, StoreError), match="read-only"):
        await RedisDlq(server.url).open()


async def test_a_newer_format_is_refused(store, admin, redis_prefix):
    """Keys of a later Agora are not read as if they were of this one."""
    admin.set(f"{{{redis_prefix}}}:format", "99")

    with pytest.raises(ConfigError, match=r"written by a newer Agora \(format 99; this one knows 2"):
        await store.open()


async def test_a_server_that_does_not_answer_is_given_up(redis_prefix, own_server):
    """A call ends with the time-out in its sentence, and the next one works."""
    server = own_server()
    store = RedisDlq(server.url, prefix=redis_prefix, timeout_seconds=0.3)
    await store.open()
    with redis.from_url(server.url) as client:
        client.client_pause(600)

    with pytest.raises(StoreError, match=r"did not answer within 0\.3 s"):
        await store.put(letters("a"))
    with redis.from_url(server.url) as client:
        client.client_unpause()

    await store.put(letters("a"))
    assert uids(await store.find(LetterQuery())) == ["a"]
    await store.close()


async def test_the_servers_clock_ends_leases_unless_another_is_given(redis_url, redis_prefix):
    """A test's clock is asked where it is given."""
    clock = ManualClock()
    timed = RedisDlq(redis_url, prefix=redis_prefix, clock=clock)
    await timed.open()
    await timed.put(letters("a"))

    leased = await timed.lease(LetterQuery(), token="t", lasting=timedelta(minutes=1), limit=1)
    (taken,) = await letters_by_id(timed, leased)
    clock.advance(timedelta(seconds=59))
    held = await timed.count(LetterQuery())
    clock.advance(timedelta(seconds=1))
    free = await timed.count(LetterQuery())

    assert (taken.lease_until, held, free) == (clock.now(), 0, 1)
    await timed.close()


async def test_more_letters_than_one_step_looks_at(store, monkeypatch):
    """Finding, counting, discarding and purging go on where the script stopped, and skip nothing."""
    await store.open()
    await store.put([letter(str(n), run_id=f"run-{n % 3}", error_type=f"E{n % 7}") for n in range(4500)])

    third = await store.find(LetterQuery(run_id="run-1"))
    of_two_types = await store.count(LetterQuery(run_id="run-2", error_type="E3"))
    leased = await store.lease(LetterQuery(run_id="run-0"), token="t", lasting=HOUR, limit=1200)
    discarded = await store.discard(LetterQuery(run_id="run-1"))
    purged = await store.purge(LetterQuery(states=(LetterState.DISCARDED,)))

    assert uids(third) == [str(n) for n in range(1, 4500, 3)]
    assert of_two_types == sum(n % 3 == 2 and n % 7 == 3 for n in range(4500))
    assert uids(await letters_by_id(store, leased)) == [str(n) for n in range(0, 3600, 3)]
    assert (discarded, purged, await store.count(EVERYTHING)) == (1500, 1500, 3000)
    await store.close()


async def test_large_letters_come_in_several_answers(store):
    """No answer is larger than some megabytes and one letter, and all of them come."""
    await store.open()
    for number in range(5):
        await store.put([letter(str(number), record="x" * 5_000_000)])

    assert uids(await store.find(LetterQuery())) == ["0", "1", "2", "3", "4"]
    await store.close()


async def test_a_lease_sends_no_records(own_server):
    """Of large letters it takes as many as it is asked for in one small answer: they were found before."""
    server = own_server()
    store = RedisDlq(server.url)
    await store.open()
    for number in range(5):
        await store.put([letter(str(number), record="x" * 3_000_000)])

    with redis.from_url(server.url) as admin:
        before = admin.info("stats")["total_net_output_bytes"]
        leased = await store.lease(LetterQuery(), token="t", lasting=HOUR, limit=9)
        sent = admin.info("stats")["total_net_output_bytes"] - before

    assert (leased, sent < 1_000_000) == (dict.fromkeys(range(1, 6), 2), True)
    await store.close()


async def test_a_row_that_is_gone_or_changed_is_found(store, admin, redis_prefix):
    """`verify` names the letter, and what is read of it is opaque and says why."""
    await store.open()
    await store.put([letter("a", record=1), letter("b", record=2), letter("c", record=3)])
    admin.hset(f"{{{redis_prefix}}}:letter:2", "record", "7")
    admin.hset(f"{{{redis_prefix}}}:letter:3", "crc", "nonsense")

    damages = await store.verify()

    assert [(one.id, one.uid) for one in damages] == [(2, "b"), (3, "c")]
    assert {one.problem for one in damages} == {"the row does not fit its checksum: it was changed on disk"}
    await store.close()


@pytest.mark.parametrize(
    ("url", "error", "said"),
    [
        ("redis://agora:s3cret@127.0.0.1:1/0", StoreError, "in Redis at 127.0.0.1:1/0 cannot be reached"),
        ("redis://agora:s3cret@{host}/0", ConfigError, "check the user and the password in url"),
        ("redis://agora:s3@cret@{host}/0", ConfigError, "more than one '@' before its host"),
        ("redis://agora:s3/cret@{host}/0", ConfigError, "url cannot be read"),
        ("redis://agora:s3cret@{host}/0?socket_timeout=s3cret", ConfigError, "url cannot be read"),
        ("http://agora:s3cret@{host}/0", ConfigError, "does not begin with redis:// or rediss:// or unix://"),
    ],
)
async def test_no_error_has_a_secret_in_it(redis_url, redis_prefix, url, error, said):
    """Whatever is wrong with the address, neither the sentence nor what it was raised from tells the password."""
    host = redis_url.partition("://")[2].rpartition("@")[2].partition("/")[0]

    async def opened() -> None:
        store = RedisDlq(url.format(host=host), prefix=redis_prefix, timeout_seconds=5)
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
        ({"prefix": "a{b}"}, "prefix must be 1 to 100 of the characters"),
        ({"prefix": 3}, "prefix must be"),
        ({"max_connections": True}, "max_connections must be a whole number of at least 1, not True"),
        ({"timeout_seconds": "5"}, "timeout_seconds must be a number"),
        ({"url": None}, "url must be a text such as redis://"),
    ],
)
def test_options_that_cannot_be_used_are_refused_when_they_are_written(options, said):
    """Before anything connects."""
    with pytest.raises(ConfigError, match=said):
        RedisDlq(**{"url": "redis://127.0.0.1/0", **options})


def test_two_names_of_one_prefix_are_one_store(redis_url):
    """So that a command does not count its letters twice."""
    one, same, other = (RedisDlq(redis_url, prefix=name) for name in ("a", "a", "b"))

    assert len({one, same, other}) == 2
    assert one == same != other


async def test_ids_that_no_store_can_have_match_nothing(store):
    """A number beyond Lua's is an empty answer, not another letter."""
    await store.open()
    await store.put(letters("a"))

    assert await store.find(LetterQuery(ids=(2**70,))) == []
    assert uids(await store.find(LetterQuery(up_to_id=2**70))) == ["a"]
    assert await store.resolve([2**70], token="t", state=LetterState.PARKED) == 0
    assert await store.give_back({2**70: None}, token="t") == 0
    await store.close()


def test_the_script_is_named_as_redis_names_it(admin):
    """So that it is sent once."""
    layout = redis_server.Layout(kind="x", values="y", script=redis_server.script("redis_dlq.lua"))

    assert admin.script_load(layout.script) == layout.sha


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (redis.ReadOnlyError("You can't write"), "is read-only by now: You can't write"),
        (redis.ResponseError("MISCONF password=s3cret\nx"), r"failed: ResponseError: MISCONF password=\*\*\* x"),
        (ConnectionResetError(), "cannot be reached: ConnectionResetError; is the server running"),
    ],
)
def test_each_error_of_the_server_is_a_sentence_with_what_to_do(error, said):
    """Whose text is on one line, and without what looks like a secret."""
    store = RedisDlq("redis://127.0.0.1/0")

    with pytest.raises(StoreError, match=f"^the dead-letter store 'agora:dlq' in Redis at .* {said}"):
        raise store._server._explained(error)


async def test_a_server_that_tells_nothing_is_told_of(own_server, caplog):
    """A user who may not ask INFO is warned that nobody knows what the server keeps."""
    server = own_server()
    with redis.from_url(server.url) as client:
        client.execute_command("ACL", "SETUSER", "default", "-info")

    with caplog.at_level(logging.WARNING, "agora.plugins"):
        store = RedisDlq(server.url)
        await store.open()
        await store.close()

    assert [record.message for record in caplog.records] == ["Redis does not tell whether it keeps dead letters"]


async def test_a_step_that_must_not_be_made_twice_is_an_error(store, monkeypatch):
    """A lease whose connection breaks while it is made may have been made: it is not taken again."""
    await store.open()
    await store.put(letters("a"))
    asked = []

    async def broken(client, arguments):
        asked.append(arguments[0])
        raise redis.ConnectionError("gone")

    monkeypatch.setattr(redis_server.Server, "_run", lambda server, *words: broken(*words))

    with pytest.raises(StoreError, match="cannot be reached: gone"):
        await store.lease(LetterQuery(), token="t", lasting=HOUR, limit=1)

    assert asked == ["lease"]
    await store.close()
