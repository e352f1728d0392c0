"""Hard values, each exact or said not to be: none comes back as something else."""

import math
import sys
from collections import OrderedDict, defaultdict, deque
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agora_core.codec.records import decode_record, encode_record
from agora_core.codec.sameness import same
from agora_core.codec.types import Types
from agora_core.spec.letters import Fidelity
from agora_core.spec.typed_values import CodedValue, TypedValue

from . import models as m

TYPES = Types(modules=(m.__name__,))
BERLIN = ZoneInfo("Europe/Berlin")


def with_hidden(value):
    value.hidden = 7
    return value


def with_attribute(value, **attributes):
    for name, one in attributes.items():
        object.__setattr__(value, name, one)
    return value


def with_cache():
    value = m.Cached(2)
    assert value.double == 4
    return value


def without(value, name):
    object.__delattr__(value, name)
    return value


def deep(depth, wrap, record=None):
    for _ in range(depth):
        record = wrap(record)
    return record


def own_private(value):
    value._seen = 5
    return value


EXACT = {
    "none": None,
    "true": True,
    "one": 1,
    "one point nought": 1.0,
    "minus nought": -0.0,
    "nan": math.nan,
    "inf": math.inf,
    "-inf": -math.inf,
    "smallest": 5e-324,
    "2**53": 2**53,
    "2**70": 2**70,
    "-2**3000": -(2**3000),
    "decimal": Decimal("1.50"),
    "decimal nan": Decimal("NaN"),
    "decimal snan": Decimal("sNaN12"),
    "decimal -0": Decimal("-0E+3"),
    "decimal -inf": Decimal("-Infinity"),
    "empty": "",
    "surrogate": "\ud800a\udfff",
    "nul": "a\0b",
    "rtl": "\u202eabc",
    "bom": "\ufeff",
    "four bytes": "🜁",
    "looks like a tag": ["$object", "os:system", "dataclass", {}],
    "looks like one in a dict": {"$coded": ["$bytes", "!"]},
    "bytes": bytes(range(256)),
    "bytearray": bytearray(b"\xff"),
    "8 MiB": b"\xfe" * (8 << 20),
    "naive": datetime(2024, 2, 29, 23, 59, 59, 999999),
    "utc": datetime(2024, 2, 29, tzinfo=UTC),
    "odd offset": datetime(2024, 1, 1, tzinfo=timezone(timedelta(seconds=-1), "x\ud800")),
    "fold": datetime(2024, 10, 27, 2, 30, tzinfo=BERLIN, fold=1),
    "gap": datetime(2024, 3, 31, 2, 30, tzinfo=BERLIN),
    "first moment": datetime.min,
    "date": date.max,
    "time": time(2, 30, fold=1, tzinfo=UTC),
    "span": timedelta.min,
    "uuid": UUID(int=7),
    "tuple": (1, (2, ()), []),
    "set": {1, "a", (2,), frozenset({3})},
    "frozenset of nan": frozenset({math.nan}),
    "odd keys": {1: "a", None: 2, (1, 2): 3, b"x": 4, "": {}},
    "order of keys": {"b": 1, "a": 2},
    "500 lists": deep(498, lambda inner: [inner]),
    "enum": m.Colour.GREEN,
    "enum alias": m.Colour.CRIMSON,
    "enum of a tuple": m.Colour.MIXED,
    "int enum": m.Level.LOW,
    "str enum": m.Mood.GOOD,
    "flags": m.Right.READ | m.Right.WRITE,
    "no flag": m.Right(0),
    "int flags": m.Bits.A | m.Bits.B | m.Bits(16),
    "enum with _missing_": m.Strict.ONE,
    "enum as a key": {m.Level.LOW: m.Mood.GOOD, m.Colour.MIXED: 1},
    "namedtuple": m.Pair(1, [2]),
    "typed namedtuple": m.Geo(1.5),
    "namedtuple subclass": m.Named(1, 2),
    "dataclass": m.Order(1, [m.Item("a", Decimal("0.10"))], m.Geo(-0.0, math.nan), {"x": (1,)}),
    "frozen with slots": m.Key(1, m.Geo(1.0, 2.0)),
    "as keys": {m.Key(1, m.Geo(1.0)): {m.Key(2, m.Geo(2.0))}},
    "init=False": m.Counted(1),
    "generic": m.Box(m.Box([1])),
    "changed after it was made": with_attribute(m.Item("a", Decimal(1)), sku=["no", "text"]),
    "struct": m.Struct(1, m.Struct(2)),
    "frozen struct": m.Frozen(first_name="Ada", tags=["x"]),
    "attrs": m.Customer("Ada", 7, ["x"]),
    "attrs frozen": m.Tax("0.1"),
    "pydantic": m.Address(Street="x", geo=(1, 2)),
    "pydantic, all given": m.Address(Street="x", number=None, geo=None),
    "pydantic with extra": own_private(m.Open(x=1, y=[m.Level.LOW], **{"not a name": 2})),
    "pydantic root": m.Root([1, 2]),
    "pydantic, unchecked": m.Address.model_construct(street=7),
    "pydantic dataclass": m.Checked(x=1),
    "typed dict": m.Row(x=1),
    "100 dataclasses": deep(100, m.Box),
    "typed value": TypedValue(type="a:B", kind="dataclass", value={"x": 1}),
    "coded value": CodedValue(codec="npy/1", type="numpy.ndarray", payload=b"\0\xff"),
}
EQUAL = {
    "a cached property": with_cache(),
    "in a list": [with_cache()],
    "a slot that no field names": with_hidden(m.Base(1)),
    "a named tuple with an attribute": with_attribute(m.Named(1, 2), note="x"),
}
OPAQUE = {
    "never equal to another": with_attribute(m.NeverEqual(1), y=2),
    "a field that is gone": without(m.Item("a", Decimal(1)), "sku"),
    "its constructor changes it": m.Fussy(1),
    "a field that is computed": m.Computed(3),
    "list and dataclass": m.Listing(3),
    "exception and dataclass": m.Trouble(3),
    "of a class without fields": m.Plain(),
    "dict of a subclass": OrderedDict(a=1),
    "default dict": defaultdict(int),
    "deque": deque([1]),
    "fraction": Fraction(1, 3),
    "complex": 1j,
    "range": range(3),
    "function": len,
    "class": m.Order,
    "unknown inside": m.Box(object()),
    "500 dataclasses": deep(500, m.Box),
    "5,000 lists": deep(5000, lambda inner: [inner]),
    "itself": (lambda box: with_attribute(box, content=[box]))(m.Box(None)),
    "17 MiB": "x" * (17 << 20),
}  # fmt: skip


def test_the_corpus_is_large_enough():
    """Sixty hard values at least, and more that are not exact."""
    assert len(EXACT) >= 60
    assert len(EQUAL) + len(OPAQUE) >= 20


@pytest.mark.parametrize("value", EXACT.values(), ids=EXACT)
def test_it_comes_back_exactly(value):
    """The same types and values at every depth, of the classes that the pipeline's code names."""
    encoded = encode_record({"value": value})

    back = TYPES.restore_known(decode_record(encoded.payload))

    assert encoded.fidelity is Fidelity.EXACT
    assert same(back, {"value": value})


@pytest.mark.parametrize("value", EQUAL.values(), ids=EQUAL)
def test_it_comes_back_equal(value):
    """What it keeps beside its fields is gone, and its own `==` does not mind."""
    encoded = encode_record(value)

    back = TYPES.restore(decode_record(encoded.payload))

    assert encoded.fidelity is Fidelity.EQUAL
    assert type(back) is type(value)
    assert back == value


@pytest.mark.fault(44)
@pytest.mark.parametrize("value", OPAQUE.values(), ids=OPAQUE)
def test_it_is_described(value):
    """Rather than changed; however deep it is or round in a ring, no RecursionError escapes."""
    encoded = encode_record(value)

    assert encoded.fidelity is Fidelity.OPAQUE
    assert decode_record(encoded.payload)["opaque"]
    assert len(encoded.payload) < 64 * 1024


def test_no_constructor_is_called_again():
    """What a class counts when a value is made is not counted when a letter comes back."""
    encoded = encode_record(m.Counted(1))
    before = len(m.made)

    back = TYPES.restore(decode_record(encoded.payload))

    assert (back.total, len(m.made)) == (2, before)


leaves = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(st.characters(exclude_categories=())),
    st.sampled_from([*m.Colour, *m.Level, *m.Right]), st.builds(m.Geo, st.floats(), st.floats()),
    st.decimals(), st.datetimes(timezones=st.timezones()),
)  # fmt: skip
names = st.text(min_size=1)
values = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.builds(m.Box, inner),
        st.builds(m.Pair, inner, inner),
        st.builds(m.Struct, st.integers(), inner),
        st.builds(lambda x, more: m.Open(**(more | {"x": x})), st.integers(), st.dictionaries(names, inner)),
        st.builds(lambda one: with_attribute(m.Loose(1), x=one), inner),
        st.lists(inner, max_size=3),
        st.dictionaries(st.text(), inner, max_size=3),
    ),
    max_leaves=12,
)


@given(values)
@settings(max_examples=150, deadline=None)
def test_whatever_is_nested_in_whatever_comes_back(value):
    """Exactly, through every library's classes."""
    encoded = encode_record(value)

    assert encoded.fidelity is Fidelity.EXACT
    assert same(TYPES.restore(decode_record(encoded.payload)), value)


@given(values)
@settings(max_examples=50, deadline=None)
def test_what_was_read_is_written_alike(value):
    """A letter that is moved to another store, where nobody knows the classes, is the same letter there."""
    payload = encode_record(value).payload

    again = encode_record(decode_record(payload))

    assert (again.payload, again.fidelity) == (payload, Fidelity.EXACT)


def test_nothing_is_imported():
    """A row that names a module and a class gets neither."""
    before = set(sys.modules)
    payload = b'["$object","antigravity:Order","dataclass",{"x":1}]'

    with pytest.raises(ValueError, match="antigravity:Order is not known here"):
        TYPES.restore(decode_record(payload))

    assert set(sys.modules) == before
