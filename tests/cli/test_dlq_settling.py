"""The commands that settle dead letters: park, unpark, purge, verify."""

import asyncio
import json
import sqlite3
from contextlib import closing

import pytest

from agora_core.builtin.sqlite_dlq import SqliteDlq
from agora_core.testing.dlq_samples import letter


@pytest.fixture
def store(project, monkeypatch):
    """A file with four dead letters, in the current directory; three are of `orders`."""
    monkeypatch.chdir(project.root)
    put(project.root / "dead.db", *map(letter, "abc"), letter("d", pipeline_id="returns", error_type="KeyError"))
    return project


def put(path, *letters):
    async def keep():
        dlq = SqliteDlq(path)
        await dlq.open()
        await dlq.put(letters)
        await dlq.close()

    asyncio.run(keep())


def agora(project, *words, **more):
    return project.agora("dlq", *words, "--store", "dead.db", **more)


def states(project):
    rows = json.loads(agora(project, "list", "--state", "all", "--json").stdout)
    return {row["uid"]: row["state"] for row in rows}


def test_parked_letters_wait_for_a_person(store):
    """They are parked with a note that `show` has, and unparked again."""
    parked = agora(store, "park", "--id", "1", "--id", "2", "--note", "ask the vendor")
    shown = json.loads(agora(store, "show", "1").stdout)
    unparked = agora(store, "unpark", "--id", "1", "--json")

    assert parked.stdout == "parked 2 dead letters\n"
    assert (shown["state"], shown["note"]) == ("parked", "ask the vendor")
    assert json.loads(unparked.stdout) == {"unparked": 1}
    assert states(store) == {"a": "dead", "b": "parked", "c": "dead", "d": "dead"}


def test_all_letters_are_parked_at_once(store):
    """--all names what no filter does, and asks nothing: it can be undone."""
    assert agora(store, "park", "--all").stdout == "parked 4 dead letters\n"
    assert agora(store, "unpark", "--pipeline", "returns").stdout == "unparked 1 dead letter\n"
    assert agora(store, "park", "--all", "--json").stdout == '{\n  "parked": 1\n}\n'


@pytest.mark.parametrize("command", ["park", "unpark", "purge"])
@pytest.mark.parametrize(
    ("words", "said"),
    [([], "say which letters"), (["--all", "--id", "1"], "leave one of them out"), (["--stage", "x"], "no stage 'x'")],
)
def test_it_must_be_said_which_letters(store, command, words, said):
    """Neither nothing nor a typing error changes a letter."""
    done = agora(store, command, *words)

    assert done.exit_code == 2
    assert said in done.stderr
    assert set(states(store).values()) == {"dead"}


def test_only_resolved_letters_are_purged(store):
    """Discarded ones are deleted after a yes; dead ones never."""
    agora(store, "discard", "--id", "1", "--id", "4", "--yes")

    refused = agora(store, "purge", "--all", typed="n\n")
    one = agora(store, "purge", "--pipeline", "returns", "--state", "discarded", "--yes")
    rest = agora(store, "purge", "--all", "--yes", "--json")

    assert refused.exit_code == 2
    assert one.stdout == "purged 1 dead letter\n"
    assert json.loads(rest.stdout) == {"purged": 1}
    assert states(store) == {"b": "dead", "c": "dead"}


def test_unresolved_letters_cannot_be_named_for_purging(store):
    """What is not resolved never expires: the option does not take it."""
    done = agora(store, "purge", "--state", "dead", "--yes", "--all")

    assert done.exit_code == 2
    assert "'dead' is not one of 'replayed', 'discarded', 'resolved'" in done.stderr


def test_verify_says_that_nothing_is_wrong(store):
    """Every row was read."""
    assert agora(store, "verify").stdout == "nothing is wrong with 4 dead letters\n"
    assert agora(store, "verify", "--json").stdout == "[]\n"


def test_verify_names_what_is_damaged(store):
    """A flipped bit, which SQLite does not notice, makes exit code 1."""
    with closing(sqlite3.connect(store.root / "dead.db")) as connection, connection:
        connection.execute("UPDATE letters SET record = X'30' WHERE uid = 'c'")

    done = agora(store, "verify")
    data = json.loads(agora(store, "verify", "--json").stdout)

    assert done.exit_code == 1
    assert done.stdout.splitlines()[1].split(maxsplit=2)[:2] == ["3", "c"]
    assert data == [{"id": 3, "uid": "c", "problem": "the row does not fit its checksum: it was changed on disk"}]


def test_verify_looks_at_the_file_itself_too(store):
    """An index that lost a row is damage of the file, with no letter's number."""
    with closing(sqlite3.connect(store.root / "dead.db")) as connection, connection:
        connection.execute("PRAGMA writable_schema = ON")
        other = "CREATE INDEX by_run ON letters (stage)"
        connection.execute("UPDATE sqlite_schema SET sql = ? WHERE name = 'by_run'", [other])

    done = agora(store, "verify", "--json")

    assert done.exit_code == 1
    assert {row["id"] for row in json.loads(done.stdout)} == {0}


def test_letters_say_how_they_ended(store):
    """`list --json` has when a letter was resolved, by whom, and what was noted."""
    agora(store, "discard", "--id", "1", "--yes")

    (row,) = json.loads(agora(store, "list", "--state", "discarded", "--json").stdout)

    assert row["resolved_at"] is not None
    assert (row["replayed_run_id"], row["note"], row["lease_until"]) == ("", "", None)
