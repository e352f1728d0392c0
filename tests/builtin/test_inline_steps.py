"""What the declarative steps do as statements is what they do when called, one after the other."""

import re
from collections import OrderedDict, UserDict, defaultdict
from datetime import UTC, date, datetime
from decimal import Decimal
from types import MappingProxyType

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from agora import steps
from agora_core.builtin.casts import TYPES
from agora_core.builtin.step_records import MOST_INLINE
from agora_core.spec.errors import ConfigError
from agora_core.spec.inline import InlineStep

PLACEHOLDER = re.compile(r"@(in|out|skip|[0-9]+|[a-z])\b")


class Row:
    """Fields by name and nothing else, like a row of a database driver."""

    def __init__(self, fields):
        self._fields = fields

    def keys(self):
        return self._fields.keys()

    def __getitem__(self, name):
        return self._fields[name]

    def __repr__(self):
        return f"Row({self._fields!r})"


def compiled(chain):
    """Return a function that takes a record through the statements of all steps."""
    body, constants, entered, variable, fresh = [], {}, [], 0, False
    for number, step in enumerate(chain):
        inline = step.inline(fresh=fresh)
        came, makes = variable, any("@out" in line for line in inline.lines)
        entered.append(came)
        variable += makes
        words = {"in": f"r{came}", "out": f"r{variable}", "skip": "return 'filtered', stage, None, None"}
        used = {int(word) for line in inline.lines for word in PLACEHOLDER.findall(line) if word.isdigit()}
        assert used == set(range(len(inline.constants)))
        constants.update({f"s{number}_{place}": value for place, value in enumerate(inline.constants)})
        body.append(f"stage = {number}")
        body += [PLACEHOLDER.sub(lambda m: words.get(m[1]) or f"s{number}_{m[1]}", line) for line in inline.lines]
        fresh = fresh or makes
    text = [
        "def run(r0):",
        "    try:",
        *(f"        {line}" for line in body),
        f"        return 'kept', None, r{variable}, None",
        "    except Exception as error:",
        f"        return 'failed', stage, locals()[f'r{{{entered!r}[stage]}}'], error",
    ]
    exec("\n".join(text), constants)
    return constants["run"]


def called(chain, record):
    """Return what comes of *record* when each step is called."""
    for number, step in enumerate(chain):
        try:
            given = step.process(record)
        except Exception as error:
            return "failed", number, record, error
        if given is None:
            return "filtered", number, None, None
        record = given
    return "kept", None, record, None


def exact(record):
    """Return *record* so that types, order and NaN count."""
    if hasattr(record, "keys"):
        return [(name, type(record[name]), repr(record[name])) for name in record.keys()]  # noqa: SIM118  # a Row
    return repr(record)


def told(outcome):
    how, stage, record, error = outcome
    return how, stage, exact(record), type(error), str(error)


names = st.sampled_from("abcd")
NUMBERS = ["4.5", " 4 ", "4,5", "1_000", "7", "-3", "nan", "1e400", "1700000000", "1700000000.25", "9" * 5000, "٣"]
MOMENTS = ["2024-02-29", "20240229T10", "2024-02-29T10:00:00Z", "2024-02-29_10:00", " 2024-02-29 "]
texts = st.sampled_from([*NUMBERS, *MOMENTS, "", "  ", "true", "NO", "x" * 200])
values = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 5),
    st.sampled_from([0.0, 1.0, -0.0, 4.5, 2.0**70, float("nan"), float("inf"), 1700000000123, 10**400]),
    texts,
    st.sampled_from([Decimal(4), Decimal("0.1"), Decimal("sNaN"), Decimal("1e99999"), b"4", b"\xff", 1j]),
    st.sampled_from([date(2024, 2, 29), datetime(2024, 2, 29), datetime(2024, 2, 29, tzinfo=UTC)]),
    st.lists(st.integers(0, 2), max_size=2),
    st.dictionaries(names, st.integers(0, 2), max_size=2),
)
fields = st.dictionaries(names, values, max_size=4)
records = st.one_of(
    fields,
    fields,
    fields,
    fields.map(MappingProxyType),
    fields.map(OrderedDict),
    fields.map(UserDict),
    fields.map(Row),
    fields.map(lambda known: defaultdict(int, known)),
    st.sampled_from([7, "text", (1, 2), ["a"], object]),
)


def made(build, *arguments, **options):
    return st.tuples(st.tuples(*arguments), st.fixed_dictionaries({}, optional=options)).map(
        lambda given: attempted(build, *given)
    )


def attempted(build, arguments, options):
    try:
        return build(*arguments, **options)
    except ConfigError:
        return None


missing = st.sampled_from(["error", "ignore"])
some_steps = st.one_of(
    made(steps.set, fields),
    made(
        steps.rename,
        st.dictionaries(names, st.sampled_from("abcdef"), max_size=3),
        missing=missing,
        existing=st.sampled_from(["error", "replace"]),
    ),
    st.tuples(st.lists(names, min_size=1, max_size=3), missing).map(lambda of: steps.drop(*of[0], missing=of[1])),
    made(
        steps.cast,
        st.dictionaries(names, st.sampled_from(sorted(TYPES)), max_size=3),
        missing=missing,
        null=st.sampled_from(["keep", "error"]),
        empty=st.sampled_from(["error", "null"]),
    ),
    made(
        steps.where,
        names,
        st.sampled_from(["==", "!=", "<", "<=", ">", ">=", "contains", "starts with", "matches"]),
        values.filter(lambda value: value is not None),
        missing=st.sampled_from(["error", "null"]),
    ),
    made(
        steps.where,
        names,
        st.sampled_from(["in", "not in"]),
        st.lists(values, max_size=3),
        missing=st.sampled_from(["error", "null"]),
    ),
    made(steps.where, names, st.sampled_from(["is null", "is not null"])),
).filter(lambda step: step is not None)


@given(st.lists(some_steps, min_size=1, max_size=5), records)
@example([steps.set(a=1), steps.rename(a="b", c="d"), steps.drop("b", "d", missing="error")], {"c": 1})
@example([steps.where("a", "!=", 3)], defaultdict(int))
@example([steps.set(a="4.5"), steps.cast(a="float", b="int")], {"b": "x"})
def test_statements_do_what_calls_do(chain, record):
    """The same record comes out, or the same error with the record as it came; the source's own is never changed."""
    before = exact(record)

    by_call = called(chain, record)
    by_statements = compiled(chain)(record)

    assert told(by_statements) == told(by_call)
    assert exact(record) == before


@pytest.mark.parametrize("count", [1, 3, 4, MOST_INLINE, MOST_INLINE + 1])
@pytest.mark.parametrize("is_first", [True, False])
def test_steps_may_have_any_number_of_fields(count, is_first):
    """Those with many are called, and do the same."""
    known = [f"f{number}" for number in range(count)]
    news = {name: f"g{name}" for name in known}
    begin = [] if is_first else [steps.set(z=1)]

    for step in (
        steps.set(dict.fromkeys(known, 5)),
        steps.rename(news),
        steps.rename(news, missing="ignore"),
        steps.drop(*known),
        steps.drop(*known, missing="error"),
        steps.cast(dict.fromkeys(known, "int")),
        steps.cast(dict.fromkeys(known, "int"), missing="ignore"),
    ):
        for record in (
            dict.fromkeys(known, "7"),
            dict.fromkeys(known[1:], "7"),
            {**dict.fromkeys(known, "x"), "gf0": 1},
        ):
            assert told(compiled([*begin, step])(record)) == told(called([*begin, step], record))


WORDS = st.text(min_size=1)


@given(st.lists(WORDS, min_size=3, max_size=3, unique=True), WORDS, st.booleans())
def test_a_text_says_nothing_of_what_users_wrote(some, value, fresh):
    """It is the same for all names and values, so that it can be compiled, and so that few texts are."""
    first, second, third = some

    def lines(first, second, third, value):
        chain = [
            steps.set({first: value}),
            steps.rename({first: second}),
            steps.drop(first, second),
            steps.cast({first: "int", second: "date", third: "unix"}),
            steps.where(first, "starts with", value),
            steps.where(first, "in", [value]),
        ]
        return [step.inline(fresh=fresh).lines for step in chain]

    assert lines(first, second, third, value) == lines("a", "b", "c", "d")


def test_few_texts_are_made_of_a_step():
    """A chain is compiled once for all steps of its shape, whatever their types."""
    casts = [steps.cast(a=one, b=other) for one in TYPES for other in TYPES]

    assert len({step.inline(fresh=True).lines for step in casts}) == 1


@pytest.mark.parametrize("step", [steps.set(a=1), steps.rename(a="b"), steps.drop("a"), steps.cast(a=int)])
def test_a_step_that_makes_a_dict_makes_it_of_every_record(step):
    """So the next may change it in place: what comes out is never what came in."""
    for record in ({}, {"a": 1}):
        outcome = compiled([step])(record)

        assert outcome[0] == "failed" or outcome[2] is not record
    assert isinstance(step, InlineStep)


def test_where_hands_on_the_record_itself():
    """It makes nothing, so a step behind it may change in place only what one before it made."""
    record = {"a": 1}

    assert compiled([steps.where("a", "==", 1)])(record)[2] is record
    assert not any("@out" in line for line in steps.where("a", "==", 1).inline(fresh=False).lines)
