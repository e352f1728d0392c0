"""Map, Filter and Validate: users' functions and types, named."""

from dataclasses import dataclass
from functools import partial
from inspect import isawaitable
from typing import Any, TypedDict

import msgspec
import pydantic
import pytest
from attrs import define

from agora_core.builtin.steps import Filter, Map, Validate
from agora_core.spec.errors import ConfigError
from agora_core.spec.records import Context

CTX = Context(pipeline_id="p", run_id="r")


async def done(step, record):
    given = step.process(record, CTX)
    return await given if isawaitable(given) else given


def double(record):
    return record * 2


async def double_later(record):
    return record * 2


def with_context(record, ctx):
    return (record, ctx.pipeline_id)


def with_optional_context(record, context=None):
    return (record, context.pipeline_id)


def with_other_option(record, factor=3):
    return record * factor


class Doubling:
    def __call__(self, record):
        return record * 2


@pytest.mark.parametrize(
    ("function", "expected", "name"),
    [
        (double, 8, "double"),
        (double_later, 8, "double_later"),
        (with_context, (4, "p"), "with_context"),
        (with_optional_context, (4, "p"), "with_optional_context"),
        (with_other_option, 12, "with_other_option"),
        (partial(with_other_option, factor=5), 20, "with_other_option"),
        (lambda record: None, None, "map"),
        (float, 4.0, "float"),
        (Doubling(), 8, "map"),
    ],
)
async def test_a_map_calls_any_function(function, expected, name):
    """Plain or async, with the context or without, Python's own or the user's."""
    step = Map(function)

    assert await done(step, 4) == expected
    assert (step.name, repr(step)) == (name, f"Map({name})")


@pytest.mark.parametrize("predicate", [lambda n: n > 3, lambda n, ctx: n > 3, pytest.param("later", id="async")])
async def test_a_filter_lets_pass_what_its_predicate_says(predicate):
    """The record itself goes on, or nothing."""

    async def later(number):
        return number > 3

    step = Filter(later if predicate == "later" else predicate, name="large")

    assert await done(step, 4) == 4
    assert await done(step, 3) is None
    assert repr(step) == "Filter(large)"


@dataclass
class PriceData:
    item: str
    cents: int = 0


@define
class PriceAttrs:
    item: str
    cents: int = 0


class PriceStruct(msgspec.Struct):
    item: str
    cents: int = 0


class PriceDict(TypedDict):
    item: str
    cents: int


class PriceModel(pydantic.BaseModel):
    item: str
    cents: int = 0


TYPES = [PriceData, PriceAttrs, PriceStruct, PriceDict, PriceModel]


@pytest.mark.parametrize("kind", TYPES)
async def test_a_record_that_fits_passes_as_it_is(kind):
    """Validation changes nothing, unless conversion was asked for."""
    record = {"item": "apple", "cents": 120}

    assert await done(Validate(kind), record) is record
    converted = await done(Validate(kind, convert=True), record)
    assert (converted if kind is PriceDict else kind(**record)) == converted


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize(
    ("record", "field"), [({"cents": 1}, "item"), ({"item": "x", "cents": "many"}, "cents"), (5, "")]
)
async def test_a_record_that_does_not_fit_is_refused_by_field(kind, record, field):
    """The error has one line and names the field."""
    with pytest.raises(msgspec.ValidationError) as caught:
        await done(Validate(kind), record)

    assert field in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", TYPES)
async def test_strictness_can_be_chosen(kind):
    """ "5" is a number only where that is allowed."""
    record = {"item": "apple", "cents": "5"}

    assert await done(Validate(kind, strict=False), record) is record
    with pytest.raises(msgspec.ValidationError, match="cents"):
        await done(Validate(kind, strict=True), record)


async def test_annotations_are_types_too():
    """A dict of numbers, or a number or nothing, can be asked for."""
    assert await done(Validate(dict[str, int]), {"a": 1}) == {"a": 1}
    assert await done(Validate(int | None), None) is None
    with pytest.raises(msgspec.ValidationError, match="Expected `int`"):
        await done(Validate(dict[str, int]), {"a": "x"})


def raises(record):
    raise KeyError("price")


async def judged_later(record):
    return record["ok"]


@pytest.mark.parametrize("function", [lambda r: True, lambda r: None, lambda r: r, lambda r, ctx: True])
async def test_a_function_lets_a_record_pass(function):
    """By True, by None, or by the record."""
    record = {"a": 1}

    assert await done(Validate(function), record) is record


async def test_a_function_may_mend_a_record_or_refuse_it():
    """Another record of the same type goes on; False and what it raises refuse; anything else is a mistake."""
    assert await done(Validate(lambda r: {**r, "b": 2}), {"a": 1}) == {"a": 1, "b": 2}
    assert await done(Validate(judged_later), {"ok": True}) == {"ok": True}
    with pytest.raises(msgspec.ValidationError, match="judged_later refused the record"):
        await done(Validate(judged_later), {"ok": False})
    with pytest.raises(KeyError):
        await done(Validate(raises), {})
    with pytest.raises(TypeError, match=r"returned 5; it must return True, False, None or the record"):
        await done(Validate(lambda r: 5), {})


async def test_a_model_with_errors_of_its_own_keeps_them():
    """A model that only looks like pydantic's is called alike, and its error is raised as it is."""

    class Model:
        @classmethod
        def model_validate(cls, record: Any, strict: bool | None = None) -> Any:
            raise ValueError("no")

    with pytest.raises(ValueError, match=r"^no$"):
        await done(Validate(Model), {})


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda: Map(5), "the function of a map must be a function of one record, not 5"),
        (lambda: Filter("x"), "the predicate of a filter must be"),
        (lambda: Map(lambda a, b, c: 1), r"is called with \(record\) or with \(record, ctx\)"),
        (lambda: Map(lambda: 1), "is called with"),
        (lambda: Map(lambda r, *, key: 1), "is called with"),
        (lambda: Validate(5), "needs a type, a pydantic model or a function"),
        (lambda: Validate(Doubling), "declares no fields"),
        (lambda: Validate(dict[Doubling, 5]), "cannot be checked against"),
        (lambda: Validate(PriceData, strict="yes"), "strict must be true or false"),
        (lambda: Validate(double, strict=True), "belong to types"),
        (lambda: Validate(double, convert=True), "belong to types"),
    ],
)
def test_nonsense_is_refused_where_it_is_given(make, problem):
    """A step cannot be made of what cannot work."""
    with pytest.raises(ConfigError, match=problem):
        make()


def test_a_validation_is_named_after_its_type():
    """The stage of its dead letters says what the records should have been."""
    assert Validate(PriceStruct).name == "validate_PriceStruct"
    assert Validate(dict[str, int], name="prices").name == "prices"
    assert repr(Validate(PriceStruct)) == "Validate(PriceStruct)"
