"""Copies of records: what `deepcopy` makes, only sooner."""

from copy import deepcopy
from decimal import Decimal
from threading import Lock

from hypothesis import given
from hypothesis import strategies as st

from agora_core.flow.copies import copied
from agora_core.spec.letters import UNKNOWN

atoms = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=3) | st.binary()
others = st.decimals(allow_nan=False) | st.tuples(st.lists(st.integers(), max_size=2)) | st.frozensets(st.integers())
keys = st.text(max_size=3) | st.integers() | st.tuples(st.integers())
records = st.recursive(
    atoms | others, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4), max_leaves=12
)


def types(value):
    """Return the types of all that is in *value*."""
    if isinstance(value, dict):
        return type(value), [(types(key), types(item)) for key, item in value.items()]
    return (type(value), [types(item) for item in value]) if isinstance(value, list | tuple) else type(value)


def lists(value):
    """Return all that could be changed in place in *value*."""
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
    own = [value] if isinstance(value, dict | list) else []
    return [*own, *(found for item in inside for found in lists(item))]


@given(records)
def test_a_copy_is_what_deepcopy_makes(record):
    """The same types and values, and nothing in common that could be changed."""
    copy = copied(record)

    assert copy == deepcopy(record)
    assert types(copy) == types(record)
    assert not {id(each) for each in lists(copy)} & {id(each) for each in lists(record)}


def test_what_is_one_stays_one():
    """A list that is in a record twice, and a record that is in itself."""
    shared = [1]
    ring = {"shared": [shared, shared]}
    ring["self"] = ring

    copy = copied(ring)

    assert copy["shared"][0] is copy["shared"][1] is not shared
    assert copy["self"] is copy


def test_subclasses_stay_what_they_are():
    """A dict of one's own is no dict."""

    class Row(dict):
        pass

    copy = copied([Row(a=Decimal(1)), {"a": Row()}])

    assert [type(copy[0]), type(copy[1]["a"])] == [Row, Row]


def test_what_cannot_be_copied_is_unknown():
    """Such as a lock, however deep."""
    assert copied({"a": [Lock()]}) is UNKNOWN
