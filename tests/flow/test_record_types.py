"""The classes that a replay may make records of: those that a pipeline's own code names, found without running it."""

import subprocess
import sys
from importlib import import_module
from pathlib import Path
from textwrap import dedent

import pytest

from agora_core.builtin.iterable import IterableSource
from agora_core.builtin.null_sink import NullSink
from agora_core.builtin.steps import Filter, Map, Validate
from agora_core.flow.annotations import classes_in
from agora_core.flow.delivery_config import DeliveryConfig
from agora_core.flow.pipeline import Pipeline
from agora_core.flow.record_types import types_of

MODELS = """
from __future__ import annotations

import http
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Generic, Literal, NamedTuple, Optional, TypedDict, TypeVar

import attrs
import msgspec
import pydantic

if TYPE_CHECKING:
    from nowhere import Ghost

T = TypeVar("T")

class Unused: ...

class Colour(Enum):
    RED = 1

@dataclass
class Item:
    colour: Colour
    status: http.HTTPStatus

class Geo(NamedTuple):
    place: "Place"

class Place(TypedDict):
    x: int

class Tag(msgspec.Struct):
    geo: Geo

@attrs.define
class Customer:
    tag: Tag | None

class Address(pydantic.BaseModel):
    model_config = {"arbitrary_types_allowed": True}
    customer: Optional[Customer]

@dataclass
class Boxed: ...

@dataclass
class Box(Generic[T]):
    content: T

@dataclass
class Order:
    items: list[Item]
    address: Annotated[Address, "Unused"]
    ghost: Ghost | dict[str, Extra]
    box: Box[Boxed]
    word: Literal["Unused"]
    again: Order

@dataclass
class Extra: ...

@dataclass
class Other:
    x: int = 0
"""
ALL = {
    "Address", "Box", "Boxed", "Colour", "Customer", "Extra", "Geo", "HTTPStatus", "Item", "Order", "Place", "Tag",
}  # fmt: skip

FLOW = """
from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial, wraps

import app_models
from app_models import Order, Other

def decorated(function):
    @wraps(function)
    def inner(*given):
        return function(*given)
    return inner

def takes(record: Order):
    return record

def gives(record) -> dict[str, list[app_models.Order]]:
    return record

@decorated
def wrapped(record: Nowhere[1] = None, bad: "[" = 1, good: tuple[Order, ...] = ()):
    return record

def names(record):
    return [app_models.Extra() for _ in record], Other()

def of(kind):
    return lambda record: kind

class Callable:
    def __call__(self, record) -> Order: ...

class Middleware:
    async def process(self, record: Order | None, ctx): ...

class Lists:
    def process_batch(self, records: "list[Order]", ctx): ...

class Source:
    async def stream(self) -> AsyncIterator[Order]:
        yield

class Batches:
    async def batches(self, size, limit) -> AsyncIterator[list[Order]]:
        yield

class Sink:
    def write(self, record: Order): ...

class BatchSink:
    def write_batch(self, records: list[Order]): ...

class Slotted:
    __slots__ = ("model", "empty")
    def __init__(self, model):
        self.model = model
    def write(self, record): ...

class Wrapper:
    def __init__(self, inner):
        self.inner = inner
    def write(self, record): ...

class Touchy:
    @property
    def model(self):
        raise SystemExit("asked")
    def __getattr__(self, name):
        raise SystemExit(name)
    def write(self, record: Order): ...
"""


@pytest.fixture(scope="module")
def app(tmp_path_factory):
    """The modules of somebody's pipeline."""
    folder = tmp_path_factory.mktemp("app")
    (folder / "app_models.py").write_text(MODELS)
    (folder / "app_flow.py").write_text(FLOW)
    sys.path.insert(0, str(folder))
    yield import_module("app_flow")
    sys.path.remove(str(folder))
    del sys.modules["app_flow"], sys.modules["app_models"]


def found(source=None, *steps, sink=None, **config):
    pipeline = Pipeline(source or IterableSource([1]))
    for step in steps:
        pipeline = step(pipeline)
    types = types_of(pipeline.build(sink or NullSink(), config=DeliveryConfig(**config)))
    return {kind.__name__ for kind in types.classes}, set(types.modules)


def mapped(function):
    return lambda pipeline: pipeline.map(function)


@pytest.mark.parametrize("name", ["takes", "gives", "wrapped"])
@pytest.mark.parametrize("how", ["map", "filter", "pipe", "partial"])
def test_a_function_names_classes_in_its_annotations(app, name, how):
    """Through lists, unions and decorators, and on into the fields of every kind of class; bad ones are passed over."""
    function = getattr(app, name)
    step = {
        "map": lambda p: p.map(function),
        "filter": lambda p: p.filter(function),
        "pipe": lambda p: p.pipe(Map(function)).pipe(Filter(function)),
        "partial": lambda p: p.map(app.partial(function)),
    }[how]

    assert found(None, step) == (ALL, {"app_flow"})


@pytest.mark.parametrize(
    "name", ["Middleware", "Lists", "Source", "Batches", "Sink", "BatchSink", "Callable", "Touchy"]
)
def test_a_part_names_them_in_its_methods(app, name):
    """Whatever it is; no property of it is asked, and nothing is called."""
    part = getattr(app, name)()
    given = {
        "Middleware": (None, lambda p: p.pipe(part)),
        "Lists": (None, lambda p: p.pipe(part)),
        "Callable": (None, mapped(part)),
    }
    if name in given:
        result = found(*given[name])
    elif name in ("Source", "Batches"):
        result = found(part)
    else:
        bound = Pipeline(IterableSource([1])).build(NullSink())
        bound.sinks = (part,)
        types = types_of(bound)
        result = {kind.__name__ for kind in types.classes}, set(types.modules)

    assert result == (ALL, {"app_flow"})


def test_a_functions_body_names_classes(app):
    """Of its own module, or of one that it calls by its name; inside a comprehension too."""
    assert found(None, mapped(app.names)) == ({"Extra", "Other"}, {"app_flow"})


@pytest.mark.parametrize("how", ["class", "closure", "schema", "slot", "wrapper", "items", "setting"])
def test_what_parts_and_functions_hold_is_looked_at(app, how):
    """A class that records are made or checked with, and a part inside of another one."""
    other = app.Other
    kinds, _ = {
        "class": lambda: found(None, mapped(other)),
        "closure": lambda: found(None, mapped(app.of(list[other]))),
        "schema": lambda: found(None, lambda p: p.pipe(Validate(other))),
        "slot": lambda: found(sink=app.Slotted(other)),
        "wrapper": lambda: found(sink=app.Wrapper(app.Slotted(other))),
        "items": lambda: found(IterableSource([other(), other()])),
        "setting": lambda: found(record_types=(other,)),
    }[how]()

    assert kinds == {"Other"}


def test_nothing_of_a_library_is_a_record_of_the_pipeline():
    """Neither classes of Python's own library nor of Agora, nor their modules."""
    assert found(None, mapped(Path), mapped(str.upper), mapped(lambda r: subprocess.Popen([r]))) == (
        set(),
        {__name__},
    )


def test_nothing_is_imported(tmp_path):
    """A name that a module would import late, when it is asked for, is passed over."""
    (tmp_path / "late.py").write_text("def __getattr__(name):\n    import wave\n    return wave.Wave_read\n")
    (tmp_path / "flow.py").write_text(
        dedent(
            """
            import sys
            import late
            from agora import IterableSource, NullSink, Pipeline
            from agora_core.flow.record_types import types_of

            def step(record: "late.Wave | __import__('wave')"):
                return late.Wave

            bound = Pipeline(IterableSource([1])).map(step).build(NullSink())
            types_of(bound)
            print("wave" in sys.modules)
            """
        )
    )

    done = subprocess.run([sys.executable, "flow.py"], cwd=tmp_path, capture_output=True, text=True, check=True)

    assert done.stdout == "False\n"


@pytest.mark.parametrize(
    "annotation",
    [
        "int[",
        "x" * 100_000,
        "(" * 5000 + ")" * 5000,
        "lambda: 1",
        "1 + 1",
        "\0",
        "a.b.c",
        "f()",
        "*",
        "",
        ["x"],
        7,
        None,
        ...,
    ],
)
def test_what_is_no_annotation_names_nothing(annotation):
    """And raises nothing."""
    assert classes_in(annotation, {"a": sys}) == []


def test_an_annotation_that_refers_to_itself_ends():
    """An alias for a text that names the alias."""
    assert set(classes_in("Tree", {"Tree": "dict[str, Tree] | int"})) == {int, dict, str}
