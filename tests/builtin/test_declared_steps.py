"""The declarative steps, called: what each makes of a record, what it refuses, and in which words."""

import re
from collections import UserDict, defaultdict
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum
from uuid import UUID

import msgspec
import pytest

from agora import steps
from agora_core.builtin.step_set import Set
from agora_core.builtin.step_where import Where
from agora_core.registry.references import Secret
from agora_core.spec.errors import ConfigError


class Color(Enum):
    RED = "red"


class Quake(msgspec.Struct):
    mag: float


class Faulty(UserDict):
    def __getitem__(self, name):
        raise TypeError("out of order")


PLUS_TWO = timezone(timedelta(hours=2))
NOON = datetime(2024, 2, 29, 12, tzinfo=UTC)


def test_set_puts_constants_into_a_new_record():
    """New fields come last, those that there are keep their place, and the record that came is left alone."""
    record = {"id": 1, "country": "??", "mag": 4.5}

    given = steps.set({"first name": "Ann"}, country="NL").process(record)

    assert list(given.items()) == [("id", 1), ("country", "NL"), ("mag", 4.5), ("first name", "Ann")]
    assert record == {"id": 1, "country": "??", "mag": 4.5}


@pytest.mark.parametrize("name", ["name", "fields", "missing", "self", "record"])
def test_a_keyword_of_set_is_always_a_field(name):
    """No field is lost because an option has its name."""
    assert steps.set(**{name: 5}).process({}) == {name: 5}


def test_no_two_records_share_a_constant_that_can_be_changed():
    """Lists, dicts and sets are copied for each record, and from what the user still holds."""
    tags = ["new", {"seen": {1}}]
    step = steps.set(tags=tags, kind=("a", bytearray(b"x")), level=3)
    tags.append("later")

    first, second = step.process({}), step.process({})
    first["tags"].append("mine")
    first["tags"][1]["seen"].add(2)
    first["kind"][1].append(1)

    assert second == {"tags": ["new", {"seen": {1}}], "kind": ("a", bytearray(b"x")), "level": 3}


@pytest.mark.parametrize("value", [None, True, 1.5, Decimal(1), NOON, time(1), UUID(int=1), Color.RED, (1, "a")])
def test_what_cannot_be_changed_is_shared(value):
    """Copying it would be waste."""
    assert steps.set(a=value).process({})["a"] is steps.set(a=value).process({})["a"] or isinstance(value, tuple)


def test_a_constant_from_the_environment_becomes_plain_text():
    """It is written and kept as any text."""
    given = Set({"feed": Secret("usgs"), "all": [Secret("a")]}).process({})

    assert [type(given["feed"]), type(given["all"][0])] == [str, str]


def test_rename_moves_values_to_new_names():
    """Fields that keep their name keep their place, the others follow in the order in which they were given."""
    record = {"magnitude": 4.5, "id": 1, "when": 7}

    given = steps.rename({"when": "time"}, magnitude="mag").process(record)

    assert list(given.items()) == [("id", 1), ("time", 7), ("mag", 4.5)]
    assert record == {"magnitude": 4.5, "id": 1, "when": 7}


@pytest.mark.parametrize("missing", ["error", "ignore"])
def test_names_are_given_all_at_once(missing):
    """Two fields can swap theirs, and three can go round."""
    swap = steps.rename(a="b", b="a", missing=missing)
    around = steps.rename(a="b", b="c", c="a", missing=missing)

    assert swap.process({"a": 1, "b": 2}) == {"a": 2, "b": 1}
    assert around.process({"a": 1, "b": 2, "c": 3}) == {"a": 3, "b": 1, "c": 2}


def test_rename_tells_of_a_field_that_is_not_there():
    """Unless it may be missing."""
    with pytest.raises(LookupError, match=r"^the record has no field 'magnitude'$"):
        steps.rename(magnitude="mag").process({"mag": 1})
    assert steps.rename(magnitude="mag", missing="ignore").process({"mag": 1}) == {"mag": 1}


def test_rename_overwrites_nothing_unless_it_is_told_to():
    """A value that is there already would be lost."""
    record = {"magnitude": 4.5, "mag": 1}

    with pytest.raises(ValueError, match="field 'magnitude' cannot become 'mag': the record has such a field already"):
        steps.rename(magnitude="mag").process(record)
    assert steps.rename(magnitude="mag", existing="replace").process(record) == {"mag": 4.5}


def test_drop_takes_fields_out():
    """Those that are not there are none to take out, unless that is an error."""
    record = {"id": 1, "tz": 0, "ids": ","}

    assert steps.drop("tz", "ids", "types").process(record) == {"id": 1}
    with pytest.raises(LookupError, match="the record has no field 'types'"):
        steps.drop("tz", "types", missing="error").process(record)
    assert record == {"id": 1, "tz": 0, "ids": ","}


CASTS = [
    ("int", "7", 7),
    ("int", " -7 ", -7),
    ("int", 7.0, 7),
    ("int", Decimal("7.0"), 7),
    ("int", True, 1),
    ("float", "4.5", 4.5),
    ("float", 4, 4.0),
    ("float", "1e3", 1000.0),
    ("float", Decimal("0.5"), 0.5),
    ("str", 7, "7"),
    ("str", 4.50, "4.5"),
    ("str", True, "true"),
    ("str", NOON, "2024-02-29T12:00:00+00:00"),
    ("str", date(2024, 2, 29), "2024-02-29"),
    ("str", Decimal("4.50"), "4.50"),
    ("str", UUID(int=1), "00000000-0000-0000-0000-000000000001"),
    ("str", b"caf\xc3\xa9", "café"),
    ("str", "", ""),
    ("str", "snake_case", "snake_case"),
    ("bool", "false", False),
    ("bool", " TRUE ", True),
    ("bool", "no", False),
    ("bool", "1", True),
    ("bool", 0, False),
    ("bool", 1.0, True),
    ("decimal", "4.50", Decimal("4.50")),
    ("decimal", 0.1, Decimal("0.1")),
    ("decimal", 7, Decimal(7)),
    ("date", "2024-02-29", date(2024, 2, 29)),
    ("date", "2024-02-29T12:00:00Z", date(2024, 2, 29)),
    ("date", datetime(2024, 2, 29, 23, tzinfo=PLUS_TWO), date(2024, 2, 29)),
    ("datetime", "2024-02-29T12:00:00Z", NOON),
    ("datetime", "2024-02-29 14:00:00+02:00", NOON),
    ("datetime", "2024-02-29", datetime(2024, 2, 29)),
    ("datetime", date(2024, 2, 29), datetime(2024, 2, 29)),
    ("unix", 0, datetime(1970, 1, 1, tzinfo=UTC)),
    ("unix", "1709208000", NOON),
    ("unix", -0.5, datetime(1969, 12, 31, 23, 59, 59, 500000, tzinfo=UTC)),
    ("unix", Decimal("1709208000.25"), NOON + timedelta(milliseconds=250)),
    ("unix_ms", 1709208000123, NOON + timedelta(milliseconds=123)),
    ("unix_ms", "1709208000123.5", NOON + timedelta(milliseconds=123, microseconds=500)),
]


@pytest.mark.parametrize(("kind", "value", "expected"), CASTS)
def test_a_cast_makes_a_value_of_the_type(kind, value, expected):
    """Of all that can be one, and once more of what it made."""
    once = steps.cast(a=kind).process({"a": value})["a"]

    assert (type(once), once) == (type(expected), expected)
    assert steps.cast(a=kind).process({"a": once}) == {"a": once}


@pytest.mark.parametrize(
    ("kind", "value", "told"),
    [
        ("float", "4,5", "'4,5' is not a float"),
        ("float", "", "'' is not a float"),
        ("float", "1_000", "'1_000' is not a float"),
        ("float", [4.5], "an object of type 'list' is not a float"),
        ("float", b"4.5", "b'4.5' is not a float"),
        ("float", 10**400, "an int of 1329 bits is not a float"),
        ("int", "4.0", "'4.0' is not an int"),
        ("int", 4.5, "4.5 is not an int"),
        ("int", float("inf"), "inf is not an int"),
        ("int", Decimal("1e999999"), "Decimal('1E+999999') is not an int"),
        ("int", "9" * 5000, f"{'9' * 80!r}… is not an int"),
        ("decimal", "many", "'many' is not a decimal"),
        ("str", {"a": 1}, "an object of type 'dict' is not a str"),
        ("str", b"\xff", r"b'\xff' is not a str"),
        ("bool", "maybe", "'maybe' is not a bool"),
        ("bool", 2, "2 is not a bool"),
        ("bool", [], "an object of type 'list' is not a bool"),
        ("date", "29.2.2024", "'29.2.2024' is not a date"),
        ("datetime", 1709208000, "1709208000 is not a datetime; 'unix' and 'unix_ms' read numbers"),
        ("unix", True, "True is not a unix time"),
        ("unix", 1e300, "1e+300 is not a unix time"),
        ("unix", "soon", "'soon' is not a unix time"),
        ("unix_ms", datetime(2024, 1, 1), "datetime.datetime(2024, 1, 1, 0, 0) is not a unix time in milliseconds"),
    ],
)
def test_what_cannot_be_cast_is_told_with_its_field(kind, value, told):
    """One line names the field, the value and the type; nothing is rounded or guessed."""
    with pytest.raises(ValueError, match=rf"^field 'a': {re.escape(told)}$"):
        steps.cast(a=kind).process({"a": value})


@pytest.mark.parametrize("kind", ["int", "float", "str", "bool", "decimal", "date", "datetime", "unix", "unix_ms"])
def test_null_stays_null_unless_it_is_an_error(kind):
    """It says that there is no value, of whatever type; blanks can be read as null."""
    assert steps.cast(a=kind).process({"a": None}) == {"a": None}
    assert steps.cast(a=kind, empty="null").process({"a": "  "}) == {"a": None}
    with pytest.raises(ValueError, match="field 'a': null is not a"):
        steps.cast(a=kind, null="error").process({"a": None})


def test_a_field_to_be_cast_may_be_missing_where_that_is_said():
    """By default it is an error."""
    with pytest.raises(LookupError, match="the record has no field 'a'"):
        steps.cast(a="int").process({})
    assert steps.cast(a="int", b=float, missing="ignore").process({"b": "1"}) == {"b": 1.0}


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [(int, "7", 7), (bool, "no", False), (Decimal, "7", Decimal(7)), (datetime, NOON, NOON)],
)
def test_a_type_can_be_a_class(kind, value, expected):
    """As Python has it."""
    assert steps.cast({"a": kind}).process({"a": value}) == {"a": expected}


@pytest.mark.parametrize(
    ("op", "wanted", "kept", "filtered"),
    [
        ("==", 4, [4, 4.0], ["4", None, 5]),
        ("!=", 4, ["4", None, 5], [4]),
        ("<", 4, [3], [4, None, float("nan")]),
        ("<=", 4, [4], [5]),
        (">", 4, [5], [4]),
        (">=", 4, [4, Decimal("4.5")], [3, None]),
        (">=", NOON, [NOON], [NOON - timedelta(1), None]),
        ("in", ["NL", "BE"], ["NL"], ["N", None, ["NL"]]),
        ("in", [None, 1], [None], [2]),
        ("in", [[1], 2], [[1], 2], [1]),
        ("not in", ("NL", "BE"), ["DE", None, ["NL"]], ["NL"]),
        ("not in", {None}, ["NL"], [None]),
        ("contains", "CA", ["LA, CA", ["CA"], {"CA": 1}], ["NV", [], None]),
        ("starts with", "ci", ["ci38"], ["us38", "", None]),
        ("matches", r"\d{2}", ["ci38x"], ["ci3", None]),
        ("matches", re.compile("^CI", re.IGNORECASE), ["ci38"], ["us38"]),
        ("is null", None, [None], [0, "", False]),
        ("is not null", None, [0, "", False], [None]),
    ],
)
def test_where_lets_pass_what_compares_so(op, wanted, kept, filtered):
    """The record itself goes on, or nothing; null passes only `!=`, `not in` and `is null`."""
    step = steps.where("a", op, wanted)
    records = [{"a": value} for value in kept]

    assert all(step.process(record) is record for record in records)
    assert [step.process({"a": value}) for value in filtered] == [None] * len(filtered)


@pytest.mark.parametrize(
    ("op", "wanted", "value", "told"),
    [
        (">=", 4, "4.5", r"'4.5' and 4 cannot be compared by '>=': '>=' not supported between .*'str' and 'int'"),
        ("<", NOON, datetime(2024, 1, 1), "can't compare offset-naive and offset-aware datetimes"),
        ("contains", "x", 4, "4 and 'x' cannot be compared by 'contains'"),
        ("starts with", "x", 4, "4 and 'x' cannot be compared by 'starts with'"),
        ("matches", "x", 4, "4 and 'x' cannot be compared by 'matches'"),
    ],
)
def test_what_cannot_be_compared_is_told_with_its_field(op, wanted, value, told):
    """It is not filtered: nobody knows on which side it belongs."""
    with pytest.raises(TypeError, match=rf"^field 'a': .*{told}"):
        steps.where("a", op, wanted).process({"a": value})


def test_a_field_that_is_not_there_is_null_where_that_is_said():
    """A misspelt name must not filter all records in silence; to ask for null is to ask whether there is a value."""
    with pytest.raises(LookupError, match="the record has no field 'mga'"):
        steps.where("mga", ">=", 4).process({"mag": 5})
    assert steps.where("mga", ">=", 4, missing="null").process({"mag": 5}) is None
    assert steps.where("mga", "!=", 4, missing="null").process({"mag": 5}) == {"mag": 5}
    assert steps.where("mga", "is null").process({"mag": 5}) == {"mag": 5}
    assert steps.where("mga", "is not null").process({"mag": 5}) is None


def test_asking_for_a_field_does_not_make_it():
    """A dict that invents what it does not have is left as it was."""
    record = defaultdict(int)

    with pytest.raises(LookupError):
        steps.where("mag", "==", 0).process(record)
    assert record == {}


STEPS = [
    steps.set(mag=1),
    steps.rename(mag="b"),
    steps.drop("mag"),
    steps.cast(mag="int"),
    steps.where("mag", "==", 1),
    steps.where("mag", "is null"),
]


@pytest.mark.parametrize("step", STEPS, ids=repr)
@pytest.mark.parametrize("record", [Quake(4.5), (1, 2), "mag", 7, None])
def test_a_record_without_fields_by_name_is_refused(step, record):
    """In words that say what was wanted and what came."""
    with pytest.raises(TypeError, match=f"needs a record with fields by name, .* of type '{type(record).__name__}'"):
        step.process(record)


@pytest.mark.parametrize("step", STEPS, ids=repr)
def test_what_a_record_raises_of_itself_is_its_own(step):
    """A TypeError from within a mapping is not taken for that of something else."""
    with pytest.raises(TypeError, match="out of order"):
        step.process(Faulty(mag=1))


@pytest.mark.parametrize("step", STEPS, ids=repr)
def test_a_step_can_be_given_a_name(step):
    """The name of its stage is else its own; one that was renamed does the same."""
    renamed = step.named("other")

    assert (renamed.name, step.name) == ("other", type(step).__name__.lower())
    assert repr(renamed) == repr(step)


def test_options_outlive_a_new_name():
    """Only the name is another."""
    assert steps.rename(a="b", missing="ignore", existing="replace").named("x").process({"b": 1}) == {"b": 1}
    assert steps.cast(a="int", missing="ignore").named("x").process({}) == {}
    assert steps.cast(a="int", empty="null").named("x").process({"a": ""}) == {"a": None}
    assert steps.where("a", "==", 1, missing="null").named("x").process({}) is None
    with pytest.raises(LookupError):
        steps.drop("a", missing="error").named("x").process({})


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (steps.set, r'set needs at least one of its fields, such as { country = "NL" }'),
        (lambda: steps.set("country"), "fields of set must be a table such as .*, not 'country'"),
        (lambda: steps.set({1: 2}), "set takes the names of fields, which are text, not 1"),
        (lambda: steps.set(at=datetime.now), "'at' must be a constant, not an object of type .*made by .map"),
        (lambda: steps.set(at=[object()]), "'at' must be a constant, not an object of type 'object'$"),
        (steps.rename, "rename needs at least one"),
        (lambda: steps.rename(a=5), "rename takes the names of fields, which are text, not 5"),
        (lambda: steps.rename(a="a"), "'a' has that name already"),
        (lambda: steps.rename(a="c", b="c"), "'a' and 'b' cannot both become 'c'"),
        (lambda: steps.rename(missing="lost"), "rename needs at least one"),
        (
            lambda: steps.rename(a="b", missing="lost"),
            r"missing must be 'error' or 'ignore', not 'lost'; a field of that name is renamed by rename\({'missing': ",
        ),
        (lambda: steps.rename(a="b", existing="replaced"), "not 'replaced'; did you mean 'replace'"),
        (steps.drop, "fields of drop must be a list of at least one name"),
        (lambda: steps.drop(1), "drop takes the names of fields, which are text, not 1"),
        (lambda: steps.drop("a", missing="fail"), "missing must be 'ignore' or 'error', not 'fail'"),
        (lambda: steps.cast(a="flaot"), "'a' has no type named 'flaot'; known: int, float, .*; did you mean 'float'?"),
        (lambda: steps.cast(a=dict), "'a' has no type named 'dict'"),
        (lambda: steps.cast(a=5), "'a' has no type named 5"),
        (lambda: steps.cast(a="int", null=None), "null must be 'keep' or 'error', not null; a field of that name"),
        (lambda: steps.cast(a="int", empty="nul"), "empty must be 'error' or 'null', not 'nul'; did you mean 'null'"),
        (lambda: steps.where(4, "==", 4), "where takes the names of fields, which are text, not 4"),
        (lambda: steps.where("a", "=", 4), "op of where must be one of ==, !=, .*, not '='; did you mean '=='"),
        (lambda: steps.where("a", None, 4), "op of where must be one of .*, not null$"),
        (lambda: steps.where("a", "==", None), "value of where: '==' needs one to compare with; write 'is null'"),
        (lambda: steps.where("a", ">"), "value of where: '>' needs one to compare with$"),
        (lambda: steps.where("a", "is null", 4), "value of where: 'is null' takes none, not 4"),
        (lambda: steps.where("a", "in", "NL"), "value of where: 'in' takes a list of values, not 'NL'"),
        (lambda: steps.where("a", "starts with", 4), "value of where: 'starts with' takes text, not 4"),
        (lambda: steps.where("a", "matches", "["), r"value of where: '\[' is not a regular expression: unterminated"),
        (lambda: steps.where("a", "matches", re.compile(b"x")), "takes a regular expression as text, not"),
        (lambda: steps.where("a", "==", 4, missing="ignore"), "missing must be 'error' or 'null', not 'ignore'"),
    ],
)
def test_nonsense_is_refused_where_it_is_written(make, problem):
    """A step cannot be made of what cannot work."""
    with pytest.raises(ConfigError, match=problem):
        make()


def test_a_step_shows_what_it_does():
    """In a traceback or a debugger."""
    assert repr(Where("mag", ">=", 4)) == "Where('mag', '>=', 4)"
    assert repr(steps.drop("a", "b")) == "Drop('a', 'b')"
    assert repr(steps.cast(a=int)) == "Cast({'a': 'int'})"
