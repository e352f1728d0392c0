"""The keys of the store `redis` as format 1 made them: brought to the new format, with every letter as it was."""

import asyncio
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count

import pytest

pytest.importorskip("redis", reason="the extra `redis` is not installed")

import redis

from agora.plugins import ConfigError, DlqStore, LetterQuery, LetterState, encode_letter
from agora.testing import DlqStoreContract
from agora_core.testing.dlq_samples import EVERYTHING, HOUR, NOON, letter, letters, letters_by_id, uids
from agora_plugins.redis_dlq import RedisDlq

pytestmark = pytest.mark.services

FAR = int(datetime(2999, 1, 1, tzinfo=UTC).timestamp() * 1_000_000)
CHANGES = {
    "dead": {},
    "leased": {"lease_token": "t", "lease_until": FAR, "attempts": 2},
    "overdue": {"state": "leased", "lease_token": "t", "lease_until": 1, "attempts": 2},
    "replayed": {"resolved_at": 1_700_000_000_000_000, "replayed_run_id": "replay-1", "attempts": 3},
    "parked": {"note": "ask the vendor", "attempts_log": '[{"type": "E", "message": "m", "traceback": ""}]'},
    "discarded": {"resolved_at": 1_800_000_000_000_000},
}


def make_old(admin: "redis.Redis", prefix: str) -> dict[bytes, object]:
    """Write the keys as format 1 wrote them: a letter of each state, and a described one."""
    base = f"{{{prefix}}}"
    rows = [
        {**encode_letter(letter(name, record={"n": [1, 2.5, name]}, at=NOON)), "state": name, **changes}
        for name, changes in CHANGES.items()
    ]
    rows.append(encode_letter(letter("opaque", record=object())))
    admin.set(f"{base}:format", "1")
    for number, row in enumerate(rows, 1):
        del row["agora_version"]
        group = json.dumps([row["pipeline_id"], row["stage"], row["error_type"]], ensure_ascii=False)
        state, failed = row["state"], row["first_failed_at"]
        stored = {name: value for name, value in row.items() if value is not None}
        admin.hset(f"{base}:letter:{number}", mapping={**stored, "group": group})
        admin.incr(f"{base}:last")
        admin.hset(f"{base}:uids", row["uid"], number)
        admin.sadd(f"{base}:groups", group)
        admin.zadd(f"{base}:in:{state}", {str(number): number})
        admin.zadd(f"{base}:in:{state}:{group}", {str(number): number})
        admin.zadd(f"{base}:since:{state}:{group}", {str(number): failed})
        if state == "leased":
            admin.zadd(f"{base}:leases", {str(number): row["lease_until"]})
    return everything(admin, prefix)


def everything(admin: "redis.Redis", prefix: str) -> dict[bytes, object]:
    """All keys but the format, with what they hold."""
    read = {b"hash": admin.hgetall, b"string": admin.get, b"set": admin.smembers}
    keys = sorted(key for key in admin.scan_iter(f"{{{prefix}}}*") if not key.endswith(b":format"))
    return {
        key: admin.zrange(key, 0, -1, withscores=True) if kind == b"zset" else read[kind](key)
        for key in keys
        for kind in [admin.type(key)]
    }


@pytest.fixture
def admin(redis_url: str) -> Iterator["redis.Redis"]:
    with redis.from_url(redis_url) as client:
        yield client


class TestUpgradedKeys(DlqStoreContract):
    """Keys that format 1 made, and emptied, keep every promise of this one."""

    @pytest.fixture(autouse=True)
    def _on_a_server(self, redis_url: str, redis_prefix: str, admin: "redis.Redis") -> None:
        self.url, self.prefix, self.admin, self.stores = redis_url, redis_prefix, admin, count()

    def make_store(self) -> DlqStore:
        self.place = f"{self.prefix}:{next(self.stores)}"
        self.admin.set(f"{{{self.place}}}:format", "1")
        return self.make_store_again()

    def make_store_again(self) -> DlqStore:
        return RedisDlq(self.url, prefix=self.place, clock=self.clock)


async def test_an_upgrade_changes_no_letter(redis_url, redis_prefix, admin):
    """Keys of letters of every state are what they were, byte for byte; none says which Agora kept it."""
    before = make_old(admin, redis_prefix)
    store = RedisDlq(redis_url, prefix=redis_prefix)

    await store.open()

    assert everything(admin, redis_prefix) == before
    assert admin.get(f"{{{redis_prefix}}}:format") == b"2"
    found = {one.uid: one for one in await store.find(EVERYTHING)}
    assert {uid: one.state.value for uid, one in found.items()} == {
        **{name: name for name in CHANGES},
        "overdue": "dead",
        "opaque": "dead",
    }
    assert (found["dead"].record, found["replayed"].agora_version) == ({"n": [1, 2.5, "dead"]}, "")
    assert await store.verify() == []
    leased = await store.lease(LetterQuery(), token="u", lasting=HOUR, limit=9)
    assert uids(await letters_by_id(store, leased)) == ["dead", "overdue", "opaque"]
    assert await store.resolve([2], token="t", state=LetterState.REPLAYED) == 1
    await store.close()


async def test_letters_of_format_1_are_purged_by_when_they_ended(redis_url, redis_prefix, admin):
    """What it wrote of a letter's end is enough."""
    make_old(admin, redis_prefix)
    store = RedisDlq(redis_url, prefix=redis_prefix)
    await store.open()
    when = datetime.fromtimestamp(1_700_000_000, UTC)
    await store.put(letters("new"))

    assert await store.purge(LetterQuery(states=(), resolved_before=when)) == 0
    assert await store.purge(LetterQuery(states=(), resolved_before=when + timedelta(microseconds=1))) == 1
    await store.close()


async def test_workers_that_upgrade_at_one_moment_do_it_once(redis_url, redis_prefix, admin, caplog):
    """The upgrade is one step of the server's script: one of them makes it, and tells."""
    before = make_old(admin, redis_prefix)
    stores = [RedisDlq(redis_url, prefix=redis_prefix) for _ in range(12)]

    with caplog.at_level("INFO", "agora.plugins"):
        await asyncio.gather(*(one.open() for one in stores))

    told = [record for record in caplog.records if record.message == "store brought to a new format"]
    assert [(record.from_format, record.to_format) for record in told] == [(1, 2)]
    assert everything(admin, redis_prefix) == before
    for one in stores:
        await one.close()


@pytest.mark.parametrize(
    ("kept", "said"),
    [
        ("99", r"written by a newer Agora \(format 99; this one knows 2\); upgrade"),
        ("x", "is not one of Agora: its format is 'x'; choose another prefix"),
        ("-1", "is not one of Agora: its format is '-1'; choose another prefix"),
    ],
)
async def test_a_format_that_is_not_known_is_refused(redis_url, redis_prefix, admin, kept, said):
    """In one sentence, and nothing is changed."""
    admin.set(f"{{{redis_prefix}}}:format", kept)

    with pytest.raises(ConfigError, match=said):
        await RedisDlq(redis_url, prefix=redis_prefix).open()

    assert admin.get(f"{{{redis_prefix}}}:format") == kept.encode()
