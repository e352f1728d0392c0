"""What differs between two records, told in the words of `--where`."""

import json

from hypothesis import given
from hypothesis import strategies as st

from agora_core.cli.letter_fields import MISSING, field_of, read_field
from agora_core.cli.record_changes import NOTHING, Change, changes
from agora_core.testing.dlq_samples import letter

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)


def told(before, after):
    return [tuple(change) for change in changes(before, after)]


def test_each_place_is_named():
    """A value that is another, one that is new, one that is gone, one that is in a list."""
    before = {"mag": 1, "gone": True, "where": {"at": [1, 2], "a b": None}}
    after = {"mag": 1.0, "where": {"at": [1, 3, 4], "a b": 0}, "new": "x"}

    assert told(before, after) == [
        ("record.mag", 1, 1.0),
        ("record.gone", True, NOTHING),
        ("record.where.at[1]", 2, 3),
        ("record.where.at[2]", NOTHING, 4),
        ('record.where["a b"]', None, 0),
        ("record.new", NOTHING, "x"),
    ]


def test_values_of_one_class_are_looked_into():
    """Of another class, or with other things beside their fields, they are another value as a whole."""
    one, other = (["$object", "shop:Order", "dataclass", {"id": number}] for number in (1, 2))
    renamed = ["$object", "shop:Sale", "dataclass", {"id": 1}]
    private = ["$object", "shop:Order", "dataclass", {"id": 1}, {"private": {}}]

    assert told(one, other) == [("record.id", 1, 2)]
    assert told(one, renamed) == [("record", one, renamed)]
    assert told(one, private) == [("record", one, private)]


def test_a_tagged_value_is_whole():
    """Of a decimal nothing but the whole is another."""
    assert told({"p": ["$decimal", "1"]}, {"p": ["$decimal", "2"]}) == [
        ("record.p", ["$decimal", "1"], ["$decimal", "2"])
    ]


@given(VALUES, VALUES)
def test_what_is_told_makes_one_of_the_other(before, after):
    """Nothing that differs is left out, nothing else is told, and `--where` finds each place."""
    found = list(changes(before, after))

    assert bool(found) == (json.dumps(before, sort_keys=True) != json.dumps(after, sort_keys=True))
    for change in found:
        assert (at(change, before), at(change, after)) == (change.before, change.after)


def at(change: Change, record: object) -> object:
    field, rest = read_field(change.place)
    assert rest == ""
    value = field_of(letter("a", record=record), field)
    return NOTHING if value is MISSING else value
