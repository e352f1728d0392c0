"""`agora dlq migrate`: letters copied from one store to another, named by files, config files, addresses, variables."""

import asyncio
import json
import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import timedelta

import pytest

from agora_core.builtin.memory_dlq import MemoryDlq
from agora_core.builtin.sqlite_dlq import SqliteDlq
from agora_core.cli.migrating import migrate_letters
from agora_core.spec.letters import Failure, LetterQuery, LetterState
from agora_core.testing.dlq_samples import EVERYTHING, HOUR, letter

CONFIG = """
format = "agora/v1"
[pipelines.orders]
source = { type = "jsonl", path = "in.jsonl" }
sinks = [{ type = "null" }]
schedule = { type = "once" }
dlq = { path = "orders.db" }
[pipelines.returns]
source = { type = "jsonl", path = "in.jsonl" }
sinks = [{ type = "null" }]
schedule = { type = "once" }
dlq = { path = "returns.db" }
"""


@pytest.fixture
def shop(project, monkeypatch):
    """A project with letters in each state in `old.db`."""
    monkeypatch.chdir(project.root)
    asyncio.run(fill(SqliteDlq("old.db")))
    return project


async def fill(store):
    await store.open()
    await store.put([letter(uid, record={"n": 1.5, "uid": uid}) for uid in ("dead", "tried", "replayed", "parked")])
    await store.put([letter("discarded"), letter("opaque", record=object()), replace(letter("origin"), origin=b"7")])
    _, tried, replayed, parked, discarded, *_ = await store.find(EVERYTHING)
    await store.lease(LetterQuery(ids=(tried.id, replayed.id)), token="t", lasting=HOUR, limit=2)
    await store.give_back({tried.id: Failure(type="OSError", message="again")}, token="t")
    await store.resolve([replayed.id], token="t", state=LetterState.REPLAYED, run_id="replay-1")
    await store.park(LetterQuery(ids=(parked.id,)), note="ask the vendor")
    await store.discard(LetterQuery(ids=(discarded.id,)))
    await store.close()


def held(path):
    async def found():
        store = SqliteDlq(path)
        await store.open()
        try:
            return [one.with_id(0) for one in await store.find(EVERYTHING)]
        finally:
            await store.close()

    return asyncio.run(found())


def migrate(project, source, target, *words, **more):
    return project.agora("dlq", "migrate", "--from", source, "--to", target, *words, **more)


def test_every_letter_arrives_exactly(shop):
    """In their order, in their states, with all that they remember; the first store keeps them."""
    done = migrate(shop, "old.db", "new.db")

    assert done.stdout == "copied 7 dead letters; each was read back and compared\n"
    assert held("new.db") == held("old.db")
    assert [one.state.value for one in held("new.db")] == [
        "dead", "dead", "replayed", "parked", "discarded", "dead", "dead",
    ]  # fmt: skip


def test_a_migration_can_be_begun_again(shop):
    """What is there already stays as it is, and is told; what came since is copied."""
    migrate(shop, "old.db", "new.db")
    shop.agora("dlq", "discard", "--store", "new.db", "--id", "1", "--yes")

    again = migrate(shop, "old.db", "new.db", "--json")
    said = migrate(shop, "old.db", "new.db")

    assert json.loads(again.stdout) == {
        "letters": 7, "copied": 0, "present": 7, "different": 1, "missing": 0, "damaged": [],
    }  # fmt: skip
    assert said.stdout.startswith("copied 0 dead letters, 7 were there already (1 of them changed since)")
    assert held("new.db")[0].state is LetterState.DISCARDED


def test_a_dry_run_makes_nothing(shop):
    """It counts what would be copied, by state."""
    done = migrate(shop, "old.db", "new.db", "--dry-run")
    data = json.loads(migrate(shop, "old.db", "new.db", "--dry-run", "--json").stdout)

    assert done.stdout == "7 dead letters would be copied: 4 dead, 1 replayed, 1 parked, 1 discarded\n"
    assert data == {"letters": 7, "states": {"dead": 4, "replayed": 1, "parked": 1, "discarded": 1}}
    assert not (shop.root / "new.db").exists()


def test_a_damaged_letter_is_told(shop):
    """What is left of it is copied as a description, and the exit code is 1."""
    with closing(sqlite3.connect("old.db")) as connection, connection:
        connection.execute("UPDATE letters SET record = X'30' WHERE uid = 'dead'")

    done = migrate(shop, "old.db", "new.db")

    assert done.exit_code == 1
    assert "copied 7 dead letters" in done.stdout
    assert "damaged in the first store, and copied as descriptions: 1; see agora dlq verify" in done.stderr


def test_letters_that_are_being_replayed_stop_it(shop):
    """They would be replayed twice."""

    async def leased():
        store = SqliteDlq("old.db")
        await store.open()
        await store.lease(LetterQuery(), token="t", lasting=timedelta(hours=1), limit=1)
        await store.close()

    asyncio.run(leased())

    done = migrate(shop, "old.db", "new.db")

    assert done.exit_code == 2
    assert "a replay holds 1 dead letter of the first store" in done.stderr


def test_stores_of_a_config_file(shop):
    """A config file stands for its store, or for that of the pipeline behind the `#`."""
    shop.write("pipelines.toml", CONFIG)

    done = migrate(shop, "old.db", "pipelines.toml#orders")
    back = migrate(shop, "pipelines.toml#orders", "pipelines.toml#returns")

    assert (done.exit_code, back.exit_code) == (0, 0)
    assert held("returns.db") == held("old.db")


def test_a_variable_keeps_an_address_out_of_the_list_of_processes(shop):
    """`env:NAME` holds any of the other forms."""
    done = migrate(shop, "env:OLD", "env:NEW", env={"OLD": "old.db", "NEW": str(shop.root / "new.db")})

    assert done.exit_code == 0
    assert held("new.db") == held("old.db")


@pytest.mark.parametrize(
    ("source", "target", "said"),
    [
        ("none.db", "new.db", "no dead-letter file 'none.db'"),
        ("old.db", "./old.db", "--from and --to name the same dead-letter store"),
        ("old.db", "env:UNSET_VARIABLE", "the variable 'UNSET_VARIABLE' names no dead-letter store"),
        ("old.db", "mysql://root:s3cret@host/db", "no dead-letter store named 'mysql'; known: "),
        ("old.db", "memory://host", "'memory' is not made of an address alone"),
        ("old.db", "pipelines.toml", "has several dead-letter stores; say whose is meant, as in pipelines.toml#orders"),
        ("old.db", "pipelines.toml#order", "has no pipeline 'order'; known: orders, returns; did you mean 'orders'?"),
    ],
)
def test_what_names_no_store_is_refused(shop, source, target, said):
    """In a sentence that has no secret in it."""
    shop.write("pipelines.toml", CONFIG)

    done = migrate(shop, source, target)

    assert done.exit_code == 2
    assert said in done.stderr
    assert "s3cret" not in done.output


def test_a_file_that_is_no_store_is_refused(shop):
    """Nothing is laid over what is there."""
    (shop.root / "new.db").write_bytes(b"")

    done = migrate(shop, "old.db", "new.db")

    assert done.exit_code == 2
    assert "is an empty file, not a store" in done.stderr


async def test_what_did_not_arrive_is_counted():
    """The second store is read back: a letter that it lost is missing, whatever it acknowledged."""

    class Forgetful(MemoryDlq):
        async def restore(self, letters):
            await super().restore([one for one in letters if one.uid != "b"])

    source = MemoryDlq()
    await source.put([letter("a"), letter("b"), letter("c")])

    done = await migrate_letters(source, Forgetful())

    assert (done.letters, done.copied, done.missing) == (3, 2, 1)


def test_missing_letters_make_exit_code_1(shop, monkeypatch):
    """And say what to do."""

    async def nothing(self, letters):
        return None

    monkeypatch.setattr(SqliteDlq, "restore", nothing)

    done = migrate(shop, "old.db", "new.db")

    assert done.exit_code == 1
    assert "7 dead letters did not arrive; run the same command again" in done.stderr
