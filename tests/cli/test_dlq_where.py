"""`--where` in the commands around dead letters: it leaves the same letters for each of them."""

import asyncio
import json

import pytest

from agora_core.builtin.memory_dlq import MemoryDlq
from agora_core.builtin.sqlite_dlq import SqliteDlq
from agora_core.cli.dlq_selection import Selection, count, first, portions, queries
from agora_core.cli.letter_conditions import parsed
from agora_core.spec.letters import LetterQuery
from agora_core.testing.dlq_samples import letter

STRONG = "record.mag >= 4.5"


@pytest.fixture
def store(project, monkeypatch):
    """Ten letters in a file, of which 5 to 9 are strong."""
    monkeypatch.chdir(project.root)

    async def fill():
        dlq = SqliteDlq("dead.db")
        await dlq.open()
        await dlq.put([letter(f"u{number}", record={"mag": number - 0.5}) for number in range(10)])
        await dlq.close()

    asyncio.run(fill())
    return project


def dlq(project, *words, **more):
    return project.agora("dlq", *words, "--store", "dead.db", **more)


def uids(project, *words):
    return [row["uid"] for row in json.loads(dlq(project, "list", "--json", *words).stdout)]


def test_list_has_what_meets_it(store):
    """Several must all hold; what is counted is what meets them."""
    shown = dlq(store, "list", "--where", STRONG, "--limit", "2").stdout.splitlines()

    assert shown[-1] == "5 dead letters, 2 shown"
    assert uids(store, "--where", STRONG) == ["u5", "u6", "u7", "u8", "u9"]
    assert uids(store, "--where", STRONG, "--where", "id < 8") == ["u5", "u6"]
    assert uids(store, "--where", STRONG, "--newest", "--limit", "2") == ["u9", "u8"]


def test_show_has_what_meets_it(store):
    """As a list."""
    shown = json.loads(dlq(store, "show", "--where", "record.mag == 2.5").stdout)

    assert [row["record"] for row in shown] == [{"mag": 2.5}]


@pytest.mark.parametrize(
    ("words", "state"), [(["park"], "parked"), (["discard", "--yes"], "discarded")], ids=["park", "discard"]
)
def test_only_what_meets_it_is_settled(store, words, state):
    """And the number in the question and the answer is that of those."""
    done = dlq(store, *words, "--where", STRONG)

    assert done.stdout == f"{state} 5 dead letters\n"
    assert uids(store, "--state", state) == ["u5", "u6", "u7", "u8", "u9"]
    assert uids(store) == ["u0", "u1", "u2", "u3", "u4"]


def test_nothing_is_settled_where_nothing_meets_it(store):
    """An empty list of numbers names no letter, and not all of them."""
    done = dlq(store, "discard", "--yes", "--where", "record.mag > 1000")

    assert done.stdout == "discarded 0 dead letters\n"
    assert len(uids(store)) == 10


def test_it_is_a_filter_beside_all(store):
    """So --all is one too many."""
    assert dlq(store, "park", "--all", "--where", STRONG).exit_code == 2
    assert len(uids(store)) == 10


def test_what_cannot_be_read_is_refused(store):
    """With what can be written, before a letter is touched."""
    done = dlq(store, "discard", "--yes", "--where", "mag > 4")

    assert done.exit_code == 2
    assert "a dead letter has no field 'mag'" in done.stderr
    assert len(uids(store)) == 10


async def test_many_letters_are_looked_at_in_portions():
    """However many: each that meets it is named once, by number, from either end."""
    dlq = MemoryDlq()
    await dlq.open()
    await dlq.put([letter(f"u{number}", record={"n": number % 3}) for number in range(1_700)])
    chosen = Selection(query=LetterQuery(), conditions=[parsed("record.n == 1")])
    expected = [one.id for one in await dlq.find(LetterQuery()) if one.record["n"] == 1]

    found = [one.id async for portion in portions(dlq, chosen) for one in portion]
    named = [number for query in await queries(dlq, chosen) for number in query.ids]
    newest = [one.id for one in await first(dlq, chosen, 600, newest=True)]

    assert found == named == expected
    assert await count(dlq, chosen) == len(expected)
    assert newest == expected[::-1]
    assert [one.id for one in await first(dlq, chosen, 400)] == expected[:400]
