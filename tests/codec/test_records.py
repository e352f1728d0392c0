"""Records come back exactly, or are described; nothing in between."""

import enum
import json
import math
import struct
import sys
from collections import OrderedDict, defaultdict, namedtuple
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from io import BytesIO
from uuid import UUID, uuid1
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from agora_core.codec import plain
from agora_core.codec import records as codec
from agora_core.codec.plain import plain_json, read_json
from agora_core.codec.records import MAX_BYTES, as_json, decode_record, encode_record
from agora_core.codec.sameness import same
from agora_core.codec.scalars import NotCodableError
from agora_core.codec.tags import MAX_DEPTH, Tagging, untagged
from agora_core.spec.letters import Fidelity

PARIS = ZoneInfo("Europe/Paris")

any_text = st.text(st.characters(exclude_categories=()))  # lone surrogates too
zones = st.one_of(
    st.none(),
    st.just(UTC),
    st.timezones(),
    st.builds(
        timezone,
        st.timedeltas(timedelta(hours=-23), timedelta(hours=23)),
    ),
    st.builds(timezone, st.timedeltas(timedelta(hours=-23), timedelta(hours=23)), any_text),
)
folded = st.sampled_from([0, 1])
datetimes = st.builds(
    lambda when, zone, fold: when.replace(tzinfo=zone, fold=fold),
    st.datetimes(datetime(2, 1, 1), datetime(9998, 1, 1)),
    zones,
    folded,
)
times = st.builds(lambda when, zone, fold: when.replace(tzinfo=zone, fold=fold), st.times(), zones, folded)
nans = (
    st.integers(1, 2**51)
    .flatmap(lambda bits: st.sampled_from([bits | 0x7FF8 << 48, bits | 0xFFF8 << 48]))
    .map(lambda bits: struct.unpack(">d", struct.pack(">Q", bits))[0])
)
hashable_scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(2**53 - 2, 2**53 + 2),
    st.floats(),
    nans,
    any_text,
    st.sampled_from(["$", "$tuple", "$decimal"]),
    st.binary(),
    datetimes,
    st.dates(),
    times,
    st.timedeltas(),
    st.decimals().filter(lambda number: not number.is_snan()),
    st.uuids(),
)
scalars = hashable_scalars | st.binary().map(bytearray) | st.just(Decimal("sNaN7"))
hashables = st.recursive(
    hashable_scalars,
    lambda inner: st.lists(inner, max_size=4).map(tuple) | st.frozensets(inner, max_size=4),
    max_leaves=8,
)
records = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=5),
        st.lists(inner, max_size=5).map(tuple),
        st.dictionaries(any_text, inner, max_size=5),
        st.dictionaries(hashables, inner, max_size=4),
        st.sets(hashables, max_size=4),
        st.frozensets(hashables, max_size=4),
    ),
    max_leaves=20,
)


@given(records)
@settings(max_examples=150, deadline=None)
@example({True: 1, 2: "x", (1, frozenset({2.5})): None})
@example({"$tuple": ["$tuple", 1], "": ["$"]})
@example([True, 1, 1.0, "1", b"1", Decimal(1)])
@example(datetime(2024, 10, 27, 2, 30, fold=1, tzinfo=PARIS))
@example({math.nan, float("nan")})
def test_every_supported_value_comes_back_exactly(record):
    """Whatever types are nested in whatever way: the same types and values come back, and the JSON is plain UTF-8."""
    encoded = encode_record(record)

    assert encoded.fidelity is Fidelity.EXACT
    assert same(decode_record(encoded.payload), record)
    json.loads(encoded.payload.decode("utf-8"), parse_constant=pytest.fail)


@given(records, records)
@settings(max_examples=100, deadline=None)
def test_different_values_are_written_differently(one, other):
    """No two values share a text, so none can turn into the other."""
    assert (encode_record(one).payload == encode_record(other).payload) is same(one, other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1, True),
        (0.0, -0.0),
        (1, 1.0),
        ([1], (1,)),
        ({1}, {True}),
        ({1}, frozenset({1})),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
        (b"", bytearray()),
        (b"", ""),
        (Decimal("1.0"), Decimal("1.00")),
        (Decimal("NaN"), Decimal("sNaN")),
        (math.nan, -math.nan),
        (datetime(2024, 1, 1), date(2024, 1, 1)),
        (datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 1, 1, tzinfo=timezone(timedelta(0), "Z"))),
        (datetime(2024, 10, 27, 2, 30, tzinfo=PARIS), datetime(2024, 10, 27, 2, 30, fold=1, tzinfo=PARIS)),
        (time(1, tzinfo=UTC), time(1)),
        ([1, 2], [1, 2, 3]),
        ({1, 2}, {1, 2, 3}),
        ({math.nan, 1}, {1, 2}),
        (UUID(int=1), 1),
    ],
    ids=repr,
)
def test_sameness_looks_at_types(one, other):
    """Values that Python calls equal, or that print alike, are told apart."""
    assert not same(one, other)
    assert same(one, one)


def test_a_uuid_keeps_whether_it_is_safe():
    """What uuid1 knows of its own making is kept."""
    made = uuid1()

    assert decode_record(encode_record(made).payload).is_safe is made.is_safe


@pytest.mark.parametrize("kind", [list, tuple, dict])
def test_deep_nesting_comes_back(kind):
    """500 levels of anything are no problem."""
    record = kind()
    for _ in range(MAX_DEPTH - 2):
        record = {"in": record} if kind is dict else kind([record])

    encoded = encode_record(record)

    assert encoded.fidelity is Fidelity.EXACT
    assert decode_record(encoded.payload) == record


def built(depth):
    record = []
    for _ in range(depth):
        record = [record]
    return record


def cyclic():
    record = {"name": "me"}
    record["self"] = [record]
    return record


def exploding():
    record = ["x" * 1000]
    for _ in range(60):
        record = [record, record]
    return record


class Colour(enum.IntEnum):
    RED = 1


class Word(str):
    __slots__ = ()


Point = namedtuple("Point", "x y")


@dataclass
class Order:
    number: int
    items: list
    secret: str = field(default="hidden", repr=False)


class Rude:
    def __repr__(self):
        raise SystemExit("no")


class EndlessList(list):
    def __iter__(self):
        while True:
            yield 1


class Closed(type):
    def __getattribute__(cls, name):
        raise RuntimeError(f"no {name}")


class Thing(metaclass=Closed):
    pass


class Bare:
    __module__ = None


class FixedZone(tzinfo):
    def utcoffset(self, when):
        return timedelta(0)

    def dst(self, when):
        return None

    def tzname(self, when):
        return "X"


OPAQUE = {
    "str subclass": (lambda: Word("a"), "Word"),
    "OrderedDict": (lambda: OrderedDict(a=1), "OrderedDict"),
    "defaultdict": (lambda: defaultdict(list), "defaultdict"),
    "function": (lambda: lambda: None, "function"),
    "open file": (BytesIO, "BytesIO"),
    "class": (lambda: Order, "type"),
    "range": (lambda: range(3), "range"),
    "complex": (lambda: 1j, "complex"),
    "repr that raises": (Rude, "Rude"),
    "iterates for ever": (lambda: EndlessList([1, 2]), "EndlessList"),
    "metaclass that raises": (Thing, "Thing"),
    "class without a module": (Bare, "Bare"),
    "own time zone": (lambda: datetime(2024, 1, 1, tzinfo=FixedZone()), "FixedZone"),
    "zone without a key": (lambda: datetime(2024, 1, 1, tzinfo=_nameless()), "ZoneInfo"),
    "deep inside": (lambda: {"a": [{"b": {1: (Word("x"),)}}]}, "Word"),
    "cyclic": (cyclic, "contains itself"),
    "too deep": (lambda: built(5000), "nested deeper"),
    "a bit too deep": (lambda: built(MAX_DEPTH), "nested deeper"),
}


def _nameless():
    offset = b"TZif2" + b"\0" * 15 + struct.pack(">6l", 0, 0, 0, 0, 1, 4)
    return ZoneInfo.from_file(
        BytesIO(
            offset
            + struct.pack(">lbb", 0, 0, 0)
            + b"UTC\0"
            + offset
            + struct.pack(">lbb", 0, 0, 0)
            + b"UTC\0"
            + b"\nUTC0\n"
        )
    )


@pytest.mark.parametrize(("make", "word"), OPAQUE.values(), ids=OPAQUE)
def test_anything_else_is_described(make, word):
    """A value that would come back as something else is opaque; the description is short JSON with the reason."""
    encoded = encode_record(make())
    described = json.loads(encoded.payload)

    assert encoded.fidelity is Fidelity.OPAQUE
    assert word in described["opaque"]
    assert len(encoded.payload) < 64 * 1024
    assert described["type"] == encoded.type


def test_a_description_shows_fields():
    """A dataclass is described by its fields, but for those that it hides; big parts by length and digest."""
    described = as_json({"order": Order(7, [1, None, 2.5, math.inf, b"x" * 300, "y" * 300, 1 << 4000, Rude()])})
    order = described["value"]["order"]

    assert order["number"] == 7
    assert order["items"][:4] == [1, None, 2.5, "inf"]
    assert [part["length"] for part in order["items"][4:6]] == [300, 300]
    assert order["items"][6] == "<an integer of 4001 bits>"
    assert "secret" not in order


def test_a_description_is_bounded():
    """However wide and deep a value is, its description is some KiB."""
    wide = {number: [Word("x" * 10_000)] * 1000 for number in range(1000)}

    described = encode_record(wide)

    assert described.fidelity is Fidelity.OPAQUE
    assert len(described.payload) < 256 * 1024
    assert "and 980 more" in described.payload.decode()


@pytest.mark.parametrize("big", ["x" * (MAX_BYTES + 1), b"x" * (MAX_BYTES + 1)], ids=["text", "bytes"])
def test_a_record_over_the_limit_is_described_by_its_head(big):
    """A value of more than 16 MiB is kept as its head, its length and its digest."""
    encoded = encode_record(big)
    value = json.loads(encoded.payload)["value"]

    assert encoded.fidelity is Fidelity.OPAQUE
    assert value["length"] == MAX_BYTES + 1
    assert len(value["sha256"]) == 64
    assert len(encoded.payload) < 8192


def test_the_limit_holds_for_many_small_parts():
    """A small structure that unfolds into a huge one is stopped by its size, not by the memory."""
    encoded = encode_record(exploding(), max_bytes=100_000)

    assert encoded.fidelity is Fidelity.OPAQUE
    assert "larger than 100000 bytes" in encoded.payload.decode()


def test_the_limit_counts_what_is_written():
    """Text that grows when it is written is measured as written."""
    assert encode_record("\x01" * 100, max_bytes=300).fidelity is Fidelity.OPAQUE
    assert encode_record("x" * 100, max_bytes=300).fidelity is Fidelity.EXACT


def test_what_does_not_come_back_is_not_called_exact(monkeypatch):
    """If reading gave something else than was written, the record is opaque."""
    monkeypatch.setattr(codec, "same", lambda one, other: False)

    assert encode_record((1,)).fidelity is Fidelity.OPAQUE


@pytest.mark.parametrize("error", [MemoryError, RecursionError, RuntimeError("dictionary changed size")])
def test_encoding_never_raises(monkeypatch, error):
    """Whatever goes wrong while a record is looked at, it is described."""

    class Broken:
        def __init__(self, room):
            pass

        def of(self, record):
            raise error

    monkeypatch.setattr(codec, "Tagging", Broken)

    assert encode_record({"a": (1,)}).fidelity is Fidelity.OPAQUE


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\xff",
        b"{",
        b"NaN",
        b'["$unknown", 1]',
        b'["$int", "x"]',
        b'["$int"]',
        b'["$decimal", [1]]',
        b'["$float", "nan", "00"]',
        b'["$bytes", "!"]',
        b'["$str", "\\\\N{"]',
        b'["$set", [1]]',
        b'["$dict", 1]',
        b'["$dict", [], 1]',
        b'["$datetime", "2024-01-01", {"zone": "../../etc/passwd"}]',
        b'["$datetime", "2024-01-01", {"zone": "Europe/Atlantis"}]',
        b'["$datetime", "2024-01-01", {"zone": 7}]',
        b'["$uuid", "00000000-0000-0000-0000-000000000000", "evil"]',
        b'["$timedelta", {}]',
        b'["$timedelta", "os:system"]',
        b"[" * 100_000,
    ],
)
def test_hostile_text_is_refused(payload):
    """What `encode_record` did not write raises one kind of error, whatever is wrong with it."""
    with pytest.raises(NotCodableError):
        decode_record(payload)


def test_a_tag_never_imports():
    """A row that names a module gets nothing loaded."""
    before = set(sys.modules)

    with pytest.raises(NotCodableError):
        decode_record(b'["$this:zen", "antigravity"]')

    assert set(sys.modules) == before


def test_people_read_plain_json():
    """What is shown is JSON as jq takes it, with tags only where JSON has no such value."""
    shown = as_json({"price": Decimal("1.50"), "when": datetime(2024, 1, 1, tzinfo=UTC), "n": 7, "ids": (1, 2**60)})

    assert shown == {
        "price": ["$decimal", "1.50"],
        "when": ["$datetime", "2024-01-01T00:00:00+00:00"],
        "n": 7,
        "ids": ["$tuple", 1, ["$int", "1152921504606846976"]],
    }


class Shout(str):
    __slots__ = ()


NOT_PLAIN = [
    enum.IntEnum("Level", "LOW").LOW,
    enum.StrEnum("Name", "ADA").ADA,
    Shout("x"),
    type("Measure", (float,), {})(1.5),
    type("Count", (int,), {})(1),
    type("Row", (dict,), {})(a=1),
    OrderedDict(a=1),
    defaultdict(int, a=1),
    namedtuple("Pair", "a b")(1, 2),
    (1,),
    {1, 2},
    b"x",
    bytearray(b"x"),
    memoryview(b"x"),
    Decimal("1.5"),
    datetime(2024, 1, 1, tzinfo=UTC),
    math.nan,
    math.inf,
    -math.inf,
    2**53 + 1,
    -(2**53) - 1,
    2**70,
    "\ud800",
    ["$int", "1"],
    ["$"],
    object(),
    ...,
    1j,
    (lambda: None).__code__,
]


@pytest.mark.parametrize("value", NOT_PLAIN, ids=repr)
@pytest.mark.parametrize("wrap", [lambda v: v, lambda v: [v], lambda v: {"a": v}, lambda v: [{"a": [0, v]}]])
def test_the_quick_way_leaves_alone_what_it_is_not_sure_of(value, wrap):
    """Subclasses, numbers that JSON has not, tags, types of our own: all that goes the long way, wherever it stands."""
    assert plain_json(wrap(value), MAX_BYTES) is None


@pytest.mark.parametrize("key", [1, 1.5, True, None, Shout("a"), b"a", ("a",), "\ud800"], ids=repr)
def test_the_quick_way_leaves_odd_keys_alone(key):
    """JSON would make texts of them."""
    assert plain_json({key: 1}, MAX_BYTES) is None


@pytest.mark.parametrize(
    "value",
    [
        None, True, 0, -0.0, 5e-324, 1.7976931348623157e308, 0.1 + 0.2, 2**53, "", "\x00\x7f\u2028🜁", [], {}, [[], {}],
        {"b": 1, "a": [1, 1.0, True, {"": None}]}, ["x", "$int"], {"$int": "1"}, [["$x"][:0], 1], "$int",
    ],
    ids=repr,
)  # fmt: skip
def test_the_quick_way_takes_what_json_has(value):
    """And gives it back with its types, its bits and its order."""
    payload = plain_json(value, MAX_BYTES)

    assert payload is not None
    assert same(decode_record(payload), value)


plain_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | any_text,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(any_text, inner, max_size=5),
    max_leaves=20,
)


@given(plain_values | records)
@settings(max_examples=300, deadline=None)
@example({"a": 1, "b": [1.0, True, "x"]})
def test_the_quick_way_is_the_long_way(value):
    """What it takes, the long way takes too, and the JSON of both is the same value to any reader."""
    payload = plain_json(value, MAX_BYTES)

    if payload is not None:
        tree = Tagging(MAX_BYTES).of(value)
        assert same(json.loads(payload), tree)
        assert same(untagged(json.loads(payload)), value)
        assert same(decode_record(payload), value)


@given(plain_values | records)
@settings(deadline=None)
def test_what_is_written_is_read_alike_by_any_reader(value):
    """The reader of ours and Python's own agree on every payload."""
    payload = encode_record(value).payload

    assert same(read_json(payload), json.loads(payload))


def circle():
    value = {}
    value["a"] = value["b"] = value
    return value


@pytest.mark.parametrize("value", [exploding(), circle(), "x" * 200_000, [0] * 200_000, "\x01" * 50_000], ids=range(5))
def test_the_quick_way_looks_at_no_more_than_fits(value):
    """What unfolds into too much, or without an end, or grows when it is written, is given up."""
    assert plain_json(value, 100_000) is None


def test_a_record_that_changes_meanwhile_is_not_taken_quickly(monkeypatch):
    """What is proved is proved of the record, not of what it was when it was written."""
    record = {"a": 1}

    def write(value):
        record["a"] = 2
        return b'{"a":1}'

    monkeypatch.setattr(plain, "_encode", write)

    assert plain_json(record, MAX_BYTES) is None


@pytest.mark.parametrize(
    "written", [b'{"a":1.0}', b'{"a":true}', b'{"a":1,"b":2}', b'{"a":[1]}', b"[1]", b"{", b"\xff"]
)
def test_a_writer_that_errs_is_noticed(monkeypatch, written):
    """Were the quick writer wrong by so much as a type, the long way is gone."""
    monkeypatch.setattr(plain, "_encode", lambda value: written)

    assert plain_json({"a": 1}, MAX_BYTES) is None
