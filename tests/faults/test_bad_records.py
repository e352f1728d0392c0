"""Records that fail, that cannot be kept as they are, or that are hostile: each has a letter, and the others go on."""

import json
import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest

from agora_core.builtin.dlq_columns import checksum, columns_of
from agora_core.builtin.sqlite_dlq import SqliteDlq
from agora_core.flow.delivery_config import DeliveryConfig
from agora_core.flow.pipeline import Pipeline
from agora_core.flow.replay import replay
from agora_core.spec.errors import PartialWriteError
from agora_core.spec.letters import UNKNOWN, Fidelity, LetterQuery, LetterState

EVERY_STATE = LetterQuery(states=tuple(LetterState))


class Given:
    def __init__(self, *records):
        self._records = records

    def stream(self):
        yield from self._records


class Sink:
    """Writes until it comes to a record that is bad; then it raises, and what it wrote before is there."""

    def __init__(self, *bad, idempotent=False, partial=False):
        self.idempotent = idempotent
        self.written = []
        self._bad = bad
        self._partial = partial

    def write_batch(self, records):
        refused = {place: ValueError("bad") for place, record in enumerate(records) if record in self._bad}
        if refused and not self._partial:
            self.written += records[: min(refused)]
            raise ValueError("bad")
        self.written += [record for place, record in enumerate(records) if place not in refused]
        if refused:
            raise PartialWriteError(refused)


def fails(record):
    raise ValueError("bad")


@pytest.fixture
def store(tmp_path):
    return SqliteDlq(tmp_path / "letters.db")


async def run(pipeline, store, sink, **config):
    summary = await pipeline.build(sink, config=DeliveryConfig(dlq=store, **config)).run()
    return summary, await kept(store)


async def kept(store):
    await store.open()
    try:
        return await store.find(EVERY_STATE)
    finally:
        await store.close()


@pytest.mark.fault(1)
async def test_a_sink_that_names_the_record(store):
    """Of a batch of which the sink refuses one record, that one is dead, and the others are written once."""
    sink = Sink(3, partial=True)

    summary, letters = await run(Pipeline(Given(*range(10))), store, sink)

    assert [letter.record for letter in letters] == [3]
    assert sink.written == [0, 1, 2, 4, 5, 6, 7, 8, 9]
    assert (summary.consumed, summary.written, summary.dead, summary.in_flight) == (10, 9, 1, 0)


@pytest.mark.parametrize(
    ("options", "policy", "dead", "doubled"),
    [
        # A sink that may be told twice is asked for each half again, down to the one that it refuses.
        ({"idempotent": True}, "auto", [5], True),
        # No other sink is: what it had written is in a letter too.
        ({}, "auto", list(range(8)), False),
        ({"idempotent": True}, "dlq_all", list(range(8)), False),
        ({}, "bisect", [5], True),
    ],
)
@pytest.mark.fault(2)
async def test_a_sink_that_raises_in_the_middle_of_a_batch(store, options, policy, dead, doubled):
    """Which records a sink took before it raised is never guessed: every record is written, or dead, or both."""
    sink = Sink(5, **options)

    # The whole batch at once, as the first batches are not.
    class Lists(Given):
        def batches(self, size):
            yield list(range(8))

    summary, letters = await run(Pipeline(Lists()), store, sink, on_batch_error=policy)

    assert [letter.record for letter in letters] == dead
    assert set(sink.written) | set(dead) == set(range(8))
    assert (len(sink.written) > len(set(sink.written))) is doubled
    assert (summary.written, summary.dead, summary.in_flight) == (8 - len(dead), len(dead), 0)


@pytest.mark.fault(6)
async def test_a_middleware_that_meets_bad_data(store):
    """The record dies at the middleware's stage, as it was when it entered."""

    def parse(record):
        record["seen"] = True
        return int(record["n"])

    given = [{"n": "1"}, {"n": "two"}, {"n": "3"}]
    sink = Sink()

    summary, (letter,) = await run(Pipeline(Given(*given)).map(parse), store, sink, snapshot=True)

    assert (letter.stage, letter.record, letter.error.type) == ("middleware:parse", {"n": "two"}, "ValueError")
    assert sink.written == [1, 3]
    assert (summary.written, summary.dead) == (2, 1)


@pytest.mark.fault(47)
async def test_two_records_that_look_alike_are_two(store):
    """Equal records, be they one object, have a letter each, in their order; replayed, each is written."""
    same = {"key": 1, "value": "a"}
    given = [same, {"key": 1, "value": "b"}, same, dict(same)]
    sink = Sink()

    _, letters = await run(Pipeline(Given(*given)).map(fails), store, Sink())
    summary = await replay(Pipeline(Given()).map(dict, name="fails").build(sink), store)

    assert [letter.record for letter in letters] == given
    assert len({letter.uid for letter in letters}) == 4
    assert (summary.replayed, sink.written) == (4, given)


def deep():
    record = []
    for _ in range(5000):
        record = [record]
    return record


def cyclic():
    record = {"name": "a ring"}
    record["itself"] = [record]
    return record


def exploding():
    record = "ha" * 100_000
    for _ in range(40):
        record = [record, record]
    return record


def colliding():
    return {number * (2**61 - 1): number for number in range(1, 2001)}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("build", "snapshot"),
    [(deep, False), (deep, True), (cyclic, False), (cyclic, True), (exploding, False)],
    ids=["deep", "deep, copied", "cyclic", "cyclic, copied", "exploding"],
)
@pytest.mark.fault(20, 44, 58)
async def test_records_without_end_are_described(store, build, snapshot):
    """What is too deep, in a ring, or huge when it is written down, dies like any other, and is kept as a description.

    No RecursionError leaves the run, the others go on, and a replay refuses the letter with the reason.
    """
    sink = Sink()

    def check(record):
        return record if record in ("before", "after") else fails(record)

    summary, (letter,) = await run(
        Pipeline(Given("before", build(), "after")).map(check), store, sink, snapshot=snapshot
    )
    again = await replay(Pipeline(Given()).map(check).build(sink), store)

    assert (letter.fidelity, letter.state) == (Fidelity.OPAQUE, LetterState.DEAD)
    assert len(json.dumps(letter.record)) < 100_000
    assert sink.written == ["before", "after"]
    assert (summary.written, summary.dead) == (2, 1)
    (reason,) = again.reasons
    assert again.refused == 1
    assert reason.startswith("only a description of the record could be kept")


@pytest.mark.slow
@pytest.mark.parametrize("build", [colliding, lambda: {str(n): n for n in range(250_000)}], ids=["colliding", "wide"])
@pytest.mark.fault(58)
async def test_hostile_dictionaries_are_kept(store, build):
    """Keys that all have one hash, and a quarter of a million keys, come back, or are described within the limit."""
    record = build()

    _, (letter,) = await run(Pipeline(Given(record)).map(fails), store, Sink())

    assert letter.record == record if letter.fidelity is Fidelity.EXACT else len(json.dumps(letter.record)) < 100_000
    assert store.path.stat().st_size < 64 << 20


HUGE = """
import asyncio, resource, sys
from agora import DeliveryConfig, Pipeline, SqliteDlq

class Given:
    def stream(self):
        yield bytes(1 << 30)  # never written to, so that it takes up no memory by itself

class Sink:
    def write(self, record):
        raise ValueError("too big for me")

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

async def main():
    pipeline = Pipeline(Given()).build(Sink(), config=DeliveryConfig(dlq=SqliteDlq(sys.argv[1])))
    before = peak()
    summary = await pipeline.run()
    print(summary.dead, peak() - before)

asyncio.run(main())
"""

DIGEST = "49bc20df15e412a64472421e13fe86ff1c5165e18b2afccf160d4dc19fe68a14"
"""Of a gibibyte of zeros, by SHA-256."""


@pytest.mark.slow
@pytest.mark.fault(29)
async def test_a_record_of_a_gibibyte_is_not_copied(store):
    """It is dead with its head, its length and its digest; what that takes is a hundredth of it."""
    done = subprocess.run(
        [sys.executable, "-c", HUGE, store.path], capture_output=True, text=True, check=True, timeout=100
    )
    dead, grown = map(int, done.stdout.split())
    (letter,) = await kept(store)

    assert dead == 1
    assert grown * 1024 < (1 << 30) / 16
    assert letter.fidelity is Fidelity.OPAQUE
    assert letter.record["value"]["length"] == 1 << 30
    assert letter.record["value"]["sha256"] == DIGEST
    assert store.path.stat().st_size < 1 << 20


TRAP = "from pathlib import Path\nPath('pwned').touch()\nclass Trap: pass\n"
PICKLE = b"ctrap\nTrap\n(tR."


def forge(path, forgery):
    """Change the only row of the store, its checksum too: that is no secret."""
    with closing(sqlite3.connect(path, isolation_level=None)) as forger:
        forger.row_factory = sqlite3.Row
        forger.execute(f"UPDATE letters SET {', '.join(f'{name} = ?' for name in forgery)}", [*forgery.values()])
        (row,) = forger.execute("SELECT * FROM letters")
        forger.execute("UPDATE letters SET crc = ?", [checksum(columns_of(dict(row)))])


@pytest.mark.parametrize(
    "forgery",
    [
        {"codec": "pickle", "record": PICKLE},
        {"codec": "trap:Trap"},
        {"type": "trap:Trap", "record": PICKLE},
        {"type": "trap:Trap", "record": b'["$trap:Trap", "x"]'},
        {"type": "trap:Trap", "fidelity": "opaque", "origin_is": "kept", "origin": PICKLE},
    ],
    ids=["pickle", "codec", "payload", "tag", "origin"],
)
@pytest.mark.fault(57)
async def test_a_hostile_file_is_never_run(store, tmp_path, monkeypatch, forgery):
    """Rows that name a pickle, a function or a class import nothing and run nothing; a replay parks or refuses them."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "trap.py").write_text(TRAP)
    await run(Pipeline(Given({"n": 1})).map(fails), store, Sink())
    forge(store.path, forgery)

    (letter,) = await kept(store)
    summary = await replay(Pipeline(Given()).map(dict, name="fails").build(Sink()), store)

    assert not (tmp_path / "pwned").exists()
    assert "trap" not in sys.modules
    assert (letter.fidelity, letter.origin) == (Fidelity.OPAQUE, UNKNOWN)
    assert (summary.replayed, summary.refused + summary.parked) == (0, 1)
    assert summary.parked == ("origin" not in forgery)
