"""Users' factories: what is accepted, and what is said of the rest."""

import asyncio
from functools import partial, wraps

import pytest

from agora_core.runner import factories
from agora_core.spec.errors import FactoryError


class Pipeline:
    async def run(self, max_records=None):
        return max_records


class Limitless:
    async def run(self):
        return "ran"


class Loose:
    async def run(self, **options):
        return options


class Sync:
    def run(self, max_records=None):
        return 1


async def build():
    return Pipeline()


async def build_of(kind):
    return kind()


class CallableObject:
    async def __call__(self):
        return Pipeline()


def undecorated(function):
    @wraps(function)
    def inner():
        return function()

    return inner


@pytest.mark.parametrize(
    "factory",
    [
        build,
        partial(build_of, Pipeline),
        CallableObject(),
        undecorated(build),
        lambda *_: build(),
        partial(partial(build)),
    ],
    ids=["function", "partial", "object", "decorated", "lambda", "partial of partial"],
)
def test_whatever_gives_an_awaitable_is_a_factory(factory):
    """Async functions, their partials, callable objects, decorated ones and lambdas are factories."""
    assert factories.problem_of(factory) is None
    assert isinstance(asyncio.run(factories.build(factory)), Pipeline)
    assert ":" in factories.import_path(factory)
    assert factories.described(factory).startswith("factory ")


def test_a_factory_with_arguments_is_refused():
    """What a factory would need is named, with the place of its definition."""
    assert "asks for kind" in factories.problem_of(build_of)
    assert "test_factories.py:" in factories.problem_of(build_of)


def test_a_plain_function_is_refused():
    """A result that is not awaitable is told with its type."""
    assert "is not async, and gave a Pipeline" in factories.problem_of(lambda *_: Pipeline())
    assert "is not async, and gave None" in factories.problem_of(lambda: None)
    assert "is not async, and gave a Pipeline" in factories.problem_of(Pipeline)


def test_the_call_that_tries_a_factory_leaves_nothing_behind():
    """A coroutine is closed and a future cancelled; a failure is left to the first run."""
    made = []

    async def main():
        def future():
            made.append(asyncio.get_running_loop().create_future())
            return made[0]

        def failing():
            raise ConnectionError

        def leaving():
            raise SystemExit

        return [factories.problem_of(one) for one in (lambda *_: build(), future, failing, leaving)]

    assert asyncio.run(main()) == [None] * 4
    assert made[0].cancelled()


@pytest.mark.parametrize(
    ("given", "told"), [(None, "gave None"), (3, "gave a int"), (Pipeline, "gave the class Pipeline")]
)
def test_what_cannot_run_is_refused(given, told):
    """A factory that gives nothing that runs is told what to return."""

    async def factory():
        return given

    with pytest.raises(FactoryError, match=told):
        asyncio.run(factories.build(factory))


def test_a_factory_that_turns_out_not_async_is_refused():
    """A wrapper that hides that it is not async is found when it is called."""
    with pytest.raises(FactoryError, match="not async"):
        asyncio.run(factories.build(lambda: 3))


def test_the_limit_is_passed_to_whoever_takes_it():
    """`run(max_records=…)`, `run(**options)` and, without a limit, `run()` are all called as they like."""

    async def main():
        return [
            await factories.run(Pipeline(), build, 7),
            await factories.run(Loose(), build, 7),
            await factories.run(Limitless(), build, None),
        ]

    assert asyncio.run(main()) == [7, {"max_records": 7}, "ran"]


def test_a_limit_that_cannot_be_kept_is_refused():
    """`max_records` for a run() without parameters is told, not forgotten."""
    with pytest.raises(FactoryError, match="takes no max_records, and max_records=7 is set"):
        asyncio.run(factories.run(Limitless(), build, 7))


def test_a_run_that_is_not_async_is_refused():
    """A plain run() would block the worker."""
    with pytest.raises(FactoryError, match="a Sync whose run\\(\\) is not async"):
        asyncio.run(factories.run(Sync(), build, None))


def test_what_has_no_source_is_described_by_its_name():
    """Callables built in C are described as far as they go."""
    assert factories.described(dict) == "factory dict"
    assert factories.problem_of(dict) is not None
    assert factories.import_path(dict) == "builtins:dict"


async def _plain(kind="a", *, deep=False):
    return None


def _bound_to(value):
    async def bound():
        return value

    return bound


class _Owner:
    async def build(self):
        return None

    def not_async(self):
        return None

    async def __call__(self):
        return None


def _alike():
    yield _plain, _plain
    yield _bound_to(1), _bound_to(2)
    yield _Owner().build, _Owner().build
    yield partial(_plain, "a"), partial(_plain, "b")
    yield partial(_Owner().build), partial(_Owner().build)


def _unlike():
    def plain():
        return None

    @wraps(_plain)
    async def wrapped():
        return None

    yield _plain, _bound_to(1)
    yield partial(_plain, "a"), partial(_plain, kind="a")
    yield partial(_plain, "a"), partial(_plain)
    yield _Owner().build, _Owner().not_async
    yield _Owner().not_async, _Owner().not_async
    yield _Owner(), _Owner()
    yield plain, _plain
    yield wrapped, _plain


@pytest.mark.parametrize(("one", "other"), list(_alike()))
def test_factories_of_one_text_are_alike(one, other):
    """Closures, methods and partials of one async function have the same faults: one of them is looked at."""
    assert factories.likeness(one) == factories.likeness(other)


@pytest.mark.parametrize(("one", "other"), list(_unlike()))
def test_factories_that_may_differ_are_not(one, other):
    """What is called to be judged, wrapped, or given other arguments is looked at by itself."""
    kept = one, other

    assert factories.likeness(kept[0]) != factories.likeness(kept[1])
