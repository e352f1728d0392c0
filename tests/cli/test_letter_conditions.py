"""`--where`: comparisons of the fields of dead letters. Nothing that is written there is ever run."""

from collections import namedtuple
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from json import dumps
from operator import eq, ge, gt, le, lt, ne
from uuid import UUID

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from agora_core.cli.letter_conditions import all_hold, parsed
from agora_core.spec.errors import ConfigError
from agora_core.spec.letters import Failure, Fidelity, LetterState
from agora_core.spec.typed_values import TypedValue
from agora_core.testing.dlq_samples import NOON, letter

ORDERS = {"==": eq, "!=": ne, "<": lt, "<=": le, ">": gt, ">=": ge}
NUMBERS = st.integers(-(10**20), 10**20) | st.floats(allow_nan=False, allow_infinity=False)
Point = namedtuple("Point", "x y")

LETTER = replace(
    letter(
        "u1",
        stage="middleware:check",
        record={
            "mag": 4.5,
            "n": 3,
            "ok": True,
            "none": None,
            "text": "San José, CA",
            "tags": ["a", "b"],
            "items": [{"sku": "X1"}, {"sku": "X2"}],
            "a b": {"c-d": 1},
            "at": datetime(2018, 2, 7, 1, tzinfo=UTC),
            "naive": datetime(2018, 2, 7),
            "day": date(2018, 2, 7),
            "price": Decimal("1.10"),
            "uuid": UUID(int=7),
            "point": (1, 2),
            "order": TypedValue(
                type="shop:Order",
                kind="dataclass",
                value={"id": 7, "kind": TypedValue(type="shop:Kind", kind="enum", value="retail")},
            ),
        },
    ),
    id=17,
    attempts=2,
    note="ask the vendor",
    fidelity=Fidelity.LOSSY,
    state=LetterState.PARKED,
    last_error=Failure(type="OSError", message="timeout after 30 s"),
)


@pytest.mark.parametrize(
    "text",
    [
        "record.mag >= 4.5",
        "record.mag>=4.5",
        "  record.mag  >  4 ",
        "record.mag = 4.5",
        "record.n in [1, 2, 3]",
        "record.n not in [1, 2]",
        "record.n != 4",
        "record.ok == true",
        "record.none is null",
        "record.missing is null",
        "record.items[7].sku is null",
        "record.mag is not null",
        'record.text contains "José"',
        "record.text contains 'CA'",
        "record.text starts with 'San'",
        "record.text matches '^San .*CA$'",
        r"record.text != 'it\'s'",
        "record.tags contains 'b'",
        "record.items[1].sku == 'X2'",
        "record.items[-1].sku == 'X2'",
        "record['a b'].c-d == 1",
        'record["a b"]["c-d"] == 1',
        "record.at >= '2018-02-07'",
        "record.at == '2018-02-07T02:00:00+01:00'",
        "record.naive == '2018-02-07'",
        "record.day < '2018-02-08'",
        "record.price == 1.10",
        "record.price in [1.10, 2]",
        "record.uuid == '00000000-0000-0000-0000-000000000007'",
        "record.point[1] == 2",
        "record.order.id == 7",
        "record.order.kind == 'retail'",
        "id == 17",
        "uid == 'u1'",
        "attempts > 1",
        "state == 'parked'",
        "fidelity != 'exact'",
        "stage starts with 'middleware:'",
        "note contains 'vendor'",
        "error.type == 'ValueError'",
        "error.message contains 'bad'",
        'last_error.message contains "timeout"',
        "first_failed_at >= '2024-02-29T12:00:00Z'",
        "origin is null",
        "resolved_at is null",
    ],
)
def test_what_holds(text):
    """Fields of letters, of their errors, and of what is in their records, in the types that they have."""
    assert parsed(text).holds(LETTER)


@pytest.mark.parametrize(
    "text",
    [
        "record.mag > 4.5",
        "record.mag == '4.5'",
        "record.ok == 1",
        "record.n == true",
        "record.none == 0",
        "record.none is not null",
        "record.missing is not null",
        "record.missing == 1",
        "record.missing != 1",
        "record.text > 4",
        "record.text contains 4",
        "record.mag contains '4'",
        "record.n in [[3]]",
        "record.at > 2018",
        "record.mag.deeper == 1",
        "record.tags.a == 1",
        "record.tags['a'] == 1",
        "last_error.type == 'ValueError'",
        "origin.mag > 1",
    ],
)
def test_what_does_not_hold(text):
    """What cannot be compared does not hold and does not raise; a field that is not there is null, and nothing else."""
    assert not parsed(text).holds(LETTER)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "begins with no field; known: id, uid"),
        ("== 4", "begins with no field"),
        ("mag > 4", "a dead letter has no field 'mag'; known: id"),
        ("mag > 4", "a field of the record is written record.mag"),
        ("recrd.mag > 4", "did you mean 'record'?"),
        ("pipeline == 'x'", "did you mean 'pipeline_id'?"),
        ("error-type == 'x'", "did you mean 'error.type'?"),
        ("error == 'x'", "of error it takes error.type, error.message, error.traceback"),
        ("error.typ == 'x'", "of error it takes error.type"),
        ("id.x == 1", "id has no fields inside"),
        ("record.mag", "there is no comparison in it; known: ==, !="),
        ("record.mag => 4", "'=>' is no comparison; known: ==, !=, <, <=, >, >=, in"),
        ("record.mag => 4", "did you mean '>='?"),
        ("record.mag like 'x'", "did you mean 'contains'?"),
        ("record.mag >=", "there is nothing to compare with"),
        ("record.mag is null 4", "'is null' takes no value, but '4' follows it"),
        ("record.place contains CA", """--where 'record.place contains "CA"'"""),
        ("record.mag > NaN", "'NaN' is no value"),
        ('record.mag == {"a": 1}', "not compared with an object; name what is inside"),
        ("record.mag > __import__('os')", "is no value"),
        ("record.mag in 4", "in"),
        ("record.text matches '('", "matches"),
        ("record.mag == " + "[" * 100_000, "is no value"),
    ],
)
def test_what_cannot_be_read_is_refused_with_what_can(text, said):
    """A typing error is never an empty answer."""
    with pytest.raises(ConfigError) as raised:
        parsed(text)

    assert said in str(raised.value)
    assert str(raised.value).startswith(f"{text!r}")


@given(NUMBERS, st.sampled_from(sorted(ORDERS)), NUMBERS)
def test_numbers_compare_as_in_python(value, op, other):
    """Whichever way round, whole or not."""
    found = parsed(f"record.n {op} {other}").holds(letter("a", record={"n": value}))

    assert found == ORDERS[op](value, other)


@given(st.text(), st.sampled_from(sorted(ORDERS)), st.text())
@example('a"\\', "==", 'a"\\')
def test_texts_compare_as_in_python(value, op, other):
    """Text in quotes, escaped as in JSON, is any text."""
    found = parsed(f"record.text {op} {dumps(other)}").holds(letter("a", record={"text": value}))

    assert found == ORDERS[op](value, other)


@given(st.text(max_size=60))
@example("record.a == 'x")
@example("record[")
@example("record.x in [1, 'a]")
def test_any_text_is_a_condition_or_a_sentence(text):
    """Whatever is typed is taken or refused; nothing else is raised, now or when it is looked at."""
    try:
        condition = parsed(text)
    except ConfigError:
        return
    assert condition.holds(LETTER) in (True, False)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.datetimes() | st.dates(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3) | st.tuples(inner),
        max_leaves=6,
    ),
    st.sampled_from(
        ["> 1", "== 'a'", "in [1, 'a', null]", "contains 'a'", "matches 'a'", "starts with 'a'", "<= '2018-02-07'"]
    ),
)
def test_any_record_can_be_looked_at(record, comparison):
    """A record of no such shape does not hold."""
    assert parsed(f"record.n {comparison}").holds(letter("a", record={"n": record})) in (True, False)
    assert parsed(f"record {comparison}").holds(letter("a", record=record)) in (True, False)


def test_all_must_hold():
    """Without conditions every letter is meant."""
    fits, does_not = parsed("attempts == 2"), parsed("attempts == 3")

    assert all_hold([], LETTER)
    assert all_hold([fits], LETTER)
    assert not all_hold([fits, does_not], LETTER)
    assert parsed("first_failed_at == '2024-02-29T12:00:00'").holds(replace(LETTER, first_failed_at=NOON))
