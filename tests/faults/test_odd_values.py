"""Records of which every value is odd: exact in the store and in the replay, or a description; shown without harm."""

import json
import math
import socket
import subprocess
import sys
import threading
import time
from datetime import UTC, date, datetime, timedelta, timezone
from datetime import time as clock_time
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from agora_core.builtin.sqlite_dlq import SqliteDlq
from agora_core.flow.delivery_config import DeliveryConfig
from agora_core.flow.pipeline import Pipeline
from agora_core.flow.replay import replay
from agora_core.spec.letters import Fidelity, LetterState
from agora_core.testing.dlq_samples import EVERYTHING

TEXTS = {
    "lone surrogates": "\ud800 \udfff \udc00\ud800",
    "nul": "a\0b",
    "right to left": "\u202eabc\u2066 אבג",
    "four bytes": "🜁 \U0010ffff",
    "byte-order mark": "\ufeffid",
    "controls": "\x1b[2J\x1b]0;owned\x07 \x9b31m \r\n\t\x7f",
    "normal forms": "é e\u0301 ﬁ",
    "json": '"\\ </script> $type $tuple',
}
NUMBERS = {
    "nan": math.nan,
    "infinity": math.inf,
    "minus infinity": -math.inf,
    "minus zero": -0.0,
    "smallest": 5e-324,
    "greatest": sys.float_info.max,
    "2**70": 2**70,
    "-2**70": -(2**70),
    "2**53+1": 2**53 + 1,
    "decimal": Decimal("0.10"),
    "decimal nan": Decimal("NaN"),
    "signalling": Decimal("sNaN12"),
    "decimal -inf": Decimal("-Infinity"),
    "decimal -0": Decimal("-0E+3"),
    "true": True,
    "one": 1,
    "one point nought": 1.0,
}
BERLIN = ZoneInfo("Europe/Berlin")
MOMENTS = {
    "naive": datetime(2024, 2, 29, 23, 59, 59, 999999),
    "utc": datetime(2024, 2, 29, tzinfo=UTC),
    "offset": datetime(2024, 2, 29, tzinfo=timezone(timedelta(hours=5, minutes=45), "Nepal")),
    "odd offset": datetime(2024, 2, 29, tzinfo=timezone(timedelta(seconds=-1))),
    "zone": datetime(2024, 7, 1, tzinfo=BERLIN),
    "first of a fold": datetime(2024, 10, 27, 2, 30, tzinfo=BERLIN, fold=0),
    "second of a fold": datetime(2024, 10, 27, 2, 30, tzinfo=BERLIN, fold=1),
    "in a gap": datetime(2024, 3, 31, 2, 30, tzinfo=BERLIN, fold=1),
    "first": datetime.min,
    "last": datetime.max,
    "date": date(1, 1, 1),
    "time in a fold": clock_time(2, 30, fold=1),
    "span": timedelta(days=-999999999, microseconds=1),
}


def shown(value):
    """Return *value* such that only the very same one is equal: NaN, signs of zero, types, zones and folds count."""
    if isinstance(value, datetime | clock_time):
        zone = value.tzinfo
        return type(value).__name__, value.replace(tzinfo=None).isoformat(), value.fold, repr(zone)
    return type(value).__name__, repr(value)


class Given:
    def __init__(self, *records):
        self._records = records

    def stream(self):
        yield from self._records


class Sink:
    def __init__(self):
        self.taken = []

    def write(self, record):
        self.taken.append(record)


def fails(record):
    raise ValueError("bad")


@pytest.fixture
def store(tmp_path):
    return SqliteDlq(tmp_path / "letters.db")


async def died_and_replayed(store, *records):
    """Let *records* die in a run; return the letters, what a replay brings to the sink, and the letters after it."""
    sink = Sink()
    await Pipeline(Given(*records)).map(fails).build(sink, config=DeliveryConfig(dlq=store)).run()
    before = await kept(store)
    summary = await replay(Pipeline(Given()).map(lambda record: record, name="fails").build(sink), store)
    return before, sink.taken, summary


async def kept(store):
    await store.open()
    try:
        return await store.find(EVERYTHING)
    finally:
        await store.close()


def corpus(values):
    """Yield each of *values*, alone, in a list and a tuple, and as a key where it can be one."""
    for name, value in values.items():
        yield value
        yield {"value": value, "list": [value, (value,)]}
        if name != "signalling":  # which has no hash
            yield {value: name}


@pytest.mark.parametrize(
    "values",
    [
        pytest.param(TEXTS, marks=pytest.mark.fault(21)),
        pytest.param(NUMBERS, marks=pytest.mark.fault(22)),
        pytest.param(MOMENTS, marks=pytest.mark.fault(23)),
    ],
    ids=["texts", "numbers", "moments"],
)
async def test_odd_values_come_back_exactly(store, values):
    """Alone, nested, and as keys: to the last bit, sign, zone and fold, in the letters and in what is replayed."""
    records = list(corpus(values))

    letters, replayed, summary = await died_and_replayed(store, *records)

    assert [letter.fidelity for letter in letters] == [Fidelity.EXACT] * len(records)
    assert [flat(letter.record) for letter in letters] == [flat(record) for record in records]
    assert [flat(record) for record in replayed] == [flat(record) for record in records]
    assert summary.replayed == len(records)


def flat(record):
    """Return *record* with each leaf as `shown`."""
    if isinstance(record, dict):
        return [(flat(key), flat(value)) for key, value in record.items()]
    if isinstance(record, list | tuple):
        return [type(record).__name__, *map(flat, record)]
    return shown(record)


@pytest.mark.fault(21)
async def test_odd_texts_are_shown_without_harm(store):
    """`dlq show` and `list` write no control character of a record or an error to a terminal, and JSON for jq."""
    hostile = TEXTS["controls"]

    def die(record):
        raise ValueError(hostile)

    await Pipeline(Given(TEXTS, hostile), "odd").map(die).build(Sink(), config=DeliveryConfig(dlq=store)).run()

    said = {}
    for words in (["show", "1"], ["show", "2"], ["show", "2", "--json"], ["list"], ["list", "--json"]):
        command = [sys.executable, "-m", "agora", "dlq", *words, "--store", str(store.path)]
        said[" ".join(words)] = subprocess.run(command, capture_output=True, check=True, timeout=60).stdout
    for text in map(bytes.decode, said.values()):
        assert {char for char in text if not char.isprintable()} <= {"\n"}
        assert "owned" in text
    assert json.loads(said["show 2 --json"])
    assert len(json.loads(said["list --json"])) == 2


def generator():
    yield 1


@pytest.mark.fault(20)
@pytest.mark.parametrize(
    "make",
    [lambda: lambda: 1, socket.socket, threading.Lock, generator, lambda: sys, lambda: memoryview(b"x")],
    ids=["lambda", "socket", "lock", "generator", "module", "memoryview"],
)
async def test_what_cannot_be_written_down_is_described(store, make):
    """The letter is opaque, with the error that the record died of; the run goes on, and no replay sends it."""
    odd = make()

    letters, replayed, summary = await died_and_replayed(store, "before", {"handle": odd, "n": 1}, "after")
    if isinstance(odd, socket.socket):
        odd.close()

    (letter,) = [one for one in letters if one.fidelity is Fidelity.OPAQUE]
    assert (letter.error.type, letter.error.message, letter.state) == ("ValueError", "bad", LetterState.DEAD)
    assert "handle" in json.dumps(letter.record)
    assert replayed == ["before", "after"]
    assert (summary.replayed, summary.refused) == (2, 1)


def seconds(work):
    """Return the least of three times that *work* takes the processor."""
    least = math.inf
    for _ in range(3):
        began = time.process_time()
        work()
        least = min(least, time.process_time() - began)
    return least


@pytest.mark.slow
@pytest.mark.fault(58)
@pytest.mark.parametrize("hostile", [True, False], ids=["colliding", "wide"])
async def test_hostile_dictionaries_cost_what_they_are(store, hostile):
    """To keep one takes a small multiple of the time that it takes to make it, and to write it as JSON.

    A dictionary whose keys collide takes the square of their number to make; that is the sender's cost, and ours too.
    """

    def make():
        if hostile:
            return {number * (2**61 - 1): number for number in range(1, 3001)}
        return {str(number): number for number in range(250_000)}

    record = make()
    unit = seconds(make) + seconds(lambda: json.dumps(record))
    began = time.process_time()
    letters, _, _ = await died_and_replayed(store, record)
    taken = time.process_time() - began

    assert len(letters) == 1
    assert letters[0].fidelity is Fidelity.EXACT or letters[0].record["opaque"]
    assert taken < 60 * unit, f"{taken:.3f} s for what takes {unit:.3f} s to make"
