"""The pytest fixtures `agora_clock` and `agora_pool`, found by pytest itself; they cost nothing until one is used."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from inspect import iscoroutinefunction, unwrap
from typing import Any

import pytest

from agora_core.spec.offers import late

# Late, since they need asyncio and the worker: pytest loads this module in every project, whatever its tests are about.
_running_clock: Callable[[], AbstractContextManager[Any]] = late("agora_core.testing.running_clock:running_clock")
_virtual_pool: Callable[..., Any] = late("agora_core.testing.virtual_pool:VirtualPool")


@pytest.fixture
def agora_clock() -> Iterator[Any]:
    """Run the test on virtual time, and tell it the time; a plain test awaits by `agora_clock.run(…)`."""
    with _running_clock() as clock:
        yield clock


@pytest.fixture
def agora_pool(agora_clock: Any) -> Iterator[Callable[..., Any]]:
    """Make a real `WorkerPool` on virtual time: `agora_pool(scheduled, state=None, seed=0)`; `run_for` lets it run."""
    made: list[Any] = []

    def make(*pipelines: Any, **options: Any) -> Any:
        pool = _virtual_pool(pipelines=pipelines, **options)
        made.append(pool)
        return pool

    yield make
    for pool in made:
        agora_clock.run(pool.kill())


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run an async test that uses the clock on the clock's loop, whatever runs the other async tests here."""
    clock: Any = pyfuncitem.funcargs.get("agora_clock")
    test = unwrap(pyfuncitem.obj, stop=iscoroutinefunction)
    if clock is None or not iscoroutinefunction(test):
        return None
    wanted = pyfuncitem._fixtureinfo.argnames  # what every plugin that runs tests itself looks at
    clock.run(test(**{name: pyfuncitem.funcargs[name] for name in wanted}))
    return True
